"""A stage's status is made of its workers' counts; rates and projections of readings of it."""

from dataclasses import replace

import pytest

from factory.watching.rates import RateMeter
from factory.watching.reader import StageReader
from factory.watching.stage_run import StageRun
from factory.watching.status import GONE_AFTER_S, Rates, State, living, stage_status
from tests.watching.builders import job, stage, worker
from workers.engine import EngineLoad, EngineStats
from workers.tally import FailedGroup, WorkerCounts


def test_without_workers_nothing_is_known() -> None:
    status = stage_status(stage(), {}, Rates())
    assert (status.num_done, status.num_engines, status.left_s) == (0, 0, None)
    assert (status.projected_gpu_s, status.projected_tokens, status.cache_hit_rate) == (None,) * 3


def test_workers_are_summed_and_what_is_left_is_projected() -> None:
    workers = {
        "one": worker("a", 300, num_ok=10, num_dropped=5, drop_reasons={"too long": 5}),
        "two": worker("b", 700, num_ok=4, num_failed=1, num_in_flight=8),
    }
    blank = stage(num_groups=80, gpu_s=36.0)
    status = stage_status(blank, workers, Rates(groups_per_s=2.0))
    assert (status.num_ok, status.num_dropped, status.num_failed) == (14, 5, 1)
    assert status.left_s == 60 / 2
    assert status.projected_tokens == 1000 * 80 / 20
    assert status.projected_gpu_s == 36 * 80 / 20
    assert status.drop_reasons == {"too long": 5}


def test_a_replaced_worker_leaves_its_counts_and_not_its_load() -> None:
    busy = EngineStats(load=EngineLoad(num_running=9, max_concurrency=16, kv_cache_usage=0.5))
    workers = {
        "one": WorkerCounts(slot="a", num_ok=3, engine=busy, num_in_flight=4, death="CUDA error"),
        "two": WorkerCounts(slot="a", num_ok=1, engine=busy),
        "three": WorkerCounts(slot="b", engine=busy),
    }
    status = stage_status(stage(), workers, Rates())
    assert status.num_ok == 4
    assert (status.num_engines, status.num_workers_replaced, status.num_engine_deaths) == (2, 1, 1)
    assert (status.engine.load.num_running, status.num_in_flight) == (18, 0)
    assert status.engine.load.kv_cache_usage == 0.5
    assert status.recent_deaths == ("CUDA error",)


def test_an_engine_that_died_is_not_up_while_none_has_taken_its_place() -> None:
    assert living({"one": worker("a", death="gone"), "two": worker("b")}).keys() == {"two"}


def test_an_engine_that_is_not_heard_any_more_is_not_up_and_costs_nothing() -> None:
    """Ray Data takes idle ones of a range away without a word."""
    now = [0.0]
    run = StageRun(name="label", num_groups=4, num_stored=0, tally=None, num_gpus=2.0)
    reader = StageReader(run, clock=lambda: now[0])
    load = EngineStats(load=EngineLoad(num_running=9, max_concurrency=16))
    up = {name: WorkerCounts(slot=name, engine=load, num_in_flight=4) for name in "abcd"}
    reader.take(up)
    now[0] = 10.0
    status = reader.take(up).status
    assert (status.num_engines, status.engine_s, status.gpu_s) == (4, 40.0, 80.0)
    gone = {name: replace(one, silent_s=GONE_AFTER_S + 1) for name, one in up.items()}
    now[0] = 20.0
    status = reader.take(gone | {"a": up["a"]}).status
    assert (status.num_engines, status.engine_s, status.gpu_s) == (1, 50.0, 100.0)
    assert (status.engine.load.num_running, status.num_in_flight) == (9, 4)


def test_the_last_failures_are_named() -> None:
    failures = tuple(FailedGroup(problem_id=f"p{i}", reason="odd") for i in range(20))
    status = stage_status(stage(), {"one": worker(recent_failures=failures)}, Rates())
    assert [f.problem_id for f in status.recent_failures] == [f"p{i}" for i in range(10, 20)]


def test_rates_begin_with_the_first_token() -> None:
    meter = RateMeter()
    assert meter.read(worker(), 0.0) == Rates()
    assert meter.read(worker(), 50.0) == Rates()
    assert meter.read(worker(tokens=100), 60.0) == Rates()
    rates = meter.read(worker(tokens=300, num_ok=5), 70.0)
    assert (rates.tokens_per_s, rates.groups_per_s) == (20.0, 0.5)


def test_token_rates_look_back_a_minute_and_group_rates_to_the_beginning() -> None:
    meter = RateMeter()
    for second in range(301):
        fast = 10 * second if second <= 200 else 2000 + 50 * (second - 200)
        rates = meter.read(worker(tokens=1 + fast, num_ok=second // 3), float(second))
    assert rates.tokens_per_s == pytest.approx(50.0)
    assert rates.groups_per_s == pytest.approx(100 / 300)


def test_engines_cost_nothing_while_nodes_are_waited_for_and_then_from_their_start_on() -> None:
    now = [0.0]
    run = StageRun(
        name="label",
        num_groups=4,
        num_stored=0,
        tally=None,
        num_engines=8,
        min_engines=2,
        num_gpus=4.0,
        engine_s_before=50.0,
        gpu_s_before=200.0,
    )
    reader = StageReader(run, clock=lambda: now[0])
    now[0] = 1800.0
    assert reader.take({}).status.gpu_s == 0
    now[0] = 1831.0
    first = worker("a", engine_start_s=30.0, working_s=0.5)
    assert reader.take({"one": first}).status.engine_s == 30.5 * 2
    now[0] = 1841.0
    status = reader.take({"one": first, "two": worker("b"), "three": worker("c")}).status
    assert (status.engine_s, status.gpu_s) == (61 + 30, 4 * 91)
    assert (status.engine_s_before, status.gpu_s_before) == (50, 200)


def test_a_driver_is_silent_after_a_minute_unless_its_job_has_ended() -> None:
    assert job(updated=1000.0).silent_s(1060.0) is None
    assert job(updated=1000.0).silent_s(1180.0) == 180.0
    assert job(updated=1000.0, state=State.DONE).silent_s(9999.0) is None
    assert job(updated=1000.0).silent_s(900.0) is None  # its clock is ahead of ours
