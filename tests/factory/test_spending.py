"""What runs cost is added up, that of killed ones too."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from factory.job import ModelSection
from factory.job_stages import Stage
from factory.recipes import load_recipe
from factory.spending import ANSWER_TIMEOUT_S, LAST_ANSWER_S, spending, spent
from factory.stage_folder import StageFolder
from factory.stored import StoredRows, rows_in
from factory.watched_stage import run_watched
from factory.watching.stage_run import StageRun, unwatched
from schemas.files import write_atomically
from schemas.records import ProblemGroup, Status
from tests.factory.builders import group, manifest_of, store, unlabelled
from workers.engine import EngineStats
from workers.tally import WorkerCounts

RUN = StageRun(name="label", num_groups=9, num_stored=0, tally=None, min_engines=2, num_gpus=4.0)


def counts(tokens: int, **fields: Any) -> dict[str, WorkerCounts]:
    engine = EngineStats(num_generated_tokens=tokens)
    return {"one": WorkerCounts(num_ok=tokens // 10, engine=engine, **fields)}


def test_a_stage_that_never_ran_has_no_counters(tmp_path: Path) -> None:
    assert spent(StageFolder(path=tmp_path / "stage")) == {}


def test_runs_are_added_up_whatever_ended_them(tmp_path: Path) -> None:
    stage = StageFolder(path=tmp_path / "stage")
    with pytest.raises(KeyboardInterrupt), spending(stage, RUN, lambda timeout_s: counts(100)):
        raise KeyboardInterrupt
    with spending(stage, RUN, lambda timeout_s: counts(30)):
        pass
    total = spent(stage)
    assert (total["num_generated_tokens"], total["num_ok"]) == (130, 13)
    assert len(list(stage.costs.iterdir())) == 2


def test_what_all_runs_reserved_is_added_up(tmp_path: Path) -> None:
    stage = StageFolder(path=tmp_path / "stage")
    for _ in range(2):
        with spending(stage, RUN, lambda timeout_s: counts(10, engine_start_s=3600.0)):
            pass
    total, files = spent(stage), [json.loads(f.read_bytes()) for f in stage.costs.iterdir()]
    assert total["engine_s"] == pytest.approx(sum(file["engine_s"] for file in files), abs=0.01)
    assert all(0 < file["engine_s"] < 3600 for file in files)  # no more than has passed
    assert all(file["gpu_s"] == 4 * file["engine_s"] for file in files)


def test_a_problem_that_failed_and_was_done_again_has_not_failed(tmp_path: Path) -> None:
    folder = StageFolder(path=tmp_path / "stage")
    source = rows_in([store(tmp_path / "in.parquet", [group("p")])])
    tries = (unlabelled("p", Status.FAILED), group("p"))
    for number, done in enumerate(tries):
        store(folder.path / f"pass-000{number}" / "a.parquet", [done])
        count = {"seconds": 1.0, "num_ok": number, "num_failed": 1 - number}
        write_atomically(folder.costs / f"{number}.json", json.dumps(count))
    section = ModelSection(model="scripted")
    stage = Stage(name="label", folder=folder, program=nothing, section=section)
    before = manifest_of(load_recipe("math-shepherd"))
    counters = run_watched(stage, source, StoredRows(folder), before, unwatched).stages["label"]
    assert (counters["num_ok"], counters["num_failed"], counters["seconds"]) == (1, 0, 2.0)


async def nothing(group: ProblemGroup, engine: Any, grader: Any) -> ProblemGroup:
    return group


def test_a_killed_run_leaves_what_it_had_counted(tmp_path: Path) -> None:
    """The file that is there while a run works is all that is left of one that is killed."""
    stage = StageFolder(path=tmp_path / "stage")
    with spending(stage, RUN, lambda timeout_s: counts(70), interval_s=0.01):
        deadline_s = time.monotonic() + 60
        while not spent(stage):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        assert spent(stage)["num_generated_tokens"] == 70
        [file] = stage.costs.glob("*.json")
        assert json.loads(file.read_bytes())["seconds"] >= 0.01


def test_counts_that_cannot_be_had_hide_no_error(tmp_path: Path) -> None:
    def gone(timeout_s: float) -> dict[str, WorkerCounts]:
        raise TimeoutError("the tally does not answer")

    with (
        pytest.raises(RuntimeError, match="the stage's own"),
        spending(StageFolder(path=tmp_path), RUN, gone),
    ):
        raise RuntimeError("the stage's own")


def test_a_run_that_is_told_to_end_waits_less_for_its_last_count(tmp_path: Path) -> None:
    asked: list[float] = []

    def count(timeout_s: float) -> dict[str, WorkerCounts]:
        asked.append(timeout_s)
        return counts(10)

    stage = StageFolder(path=tmp_path)
    with spending(stage, RUN, count):
        pass
    with pytest.raises(KeyboardInterrupt), spending(stage, RUN, count):
        raise KeyboardInterrupt
    assert asked == [ANSWER_TIMEOUT_S, LAST_ANSWER_S]


def test_a_count_that_comes_too_late_replaces_no_later_one(tmp_path: Path) -> None:
    stage = StageFolder(path=tmp_path)
    was_asked, may_answer = threading.Event(), threading.Event()

    def count(timeout_s: float) -> dict[str, WorkerCounts]:
        if threading.current_thread() is threading.main_thread():
            return counts(20)
        was_asked.set()
        may_answer.wait(60)
        return counts(10)

    with spending(stage, RUN, count, interval_s=0.01, patience_s=0.01):
        was_asked.wait(60)
        [late] = [t for t in threading.enumerate() if t.name == "spending"]
    assert late.is_alive(), "it is not waited for"
    may_answer.set()
    late.join()
    assert spent(stage)["num_generated_tokens"] == 20
