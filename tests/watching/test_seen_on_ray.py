"""A stage on Ray, seen from outside: what is scraped, logged and in the status is what was done."""

import asyncio
import json
import re
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from factory.ending import Ending
from factory.job import ModelSection
from factory.stage_folder import StageFolder
from factory.stages import run_stage
from factory.stored import rows_in
from factory.watching.events import event
from factory.watching.seen import job_seen
from factory.watching.stage_run import StageRun, unwatched
from factory.watching.status import State
from factory.watching.status_file import read_status
from schemas.generation import Message, Prompt, Sampling
from schemas.manifest import Manifest
from schemas.records import ProblemGroup, Status
from tests.pipeline.test_stages_on_ray import silent_engine, store
from workers.admission import Admission
from workers.counting import count
from workers.engine import EngineDead
from workers.tally import Tally
from workers.worker import EngineWorker

pytestmark = pytest.mark.ray
NUM_GROUPS = 24
DEADLINE_S = 60.0


@dataclass(frozen=True)
class Work:
    """A program of 3 rollouts a group, of 1 token each; one group fails and one is dropped."""

    killing: str = ""
    """The first engine to see this group dies."""
    marks: str = ""

    async def __call__(self, group: ProblemGroup, engine: Admission, tool: Any) -> ProblemGroup:
        if group.problem_id == self.killing and not (mark := Path(self.marks)).exists():
            mark.touch()
            raise EngineDead("CUDA error")
        async with engine.turn():
            prompt = Prompt(messages=(Message(role="user", content="one two"),))
            await engine.complete(prompt, Sampling(), [1, 2, 3])
        await asyncio.sleep(0.2)
        count(rollouts=3, rounds=1, steps=4, undecided=1)
        if group.problem_id == "p003":
            raise RuntimeError("odd")
        if group.problem_id == "p004":
            return replace(group, status=Status.DROPPED, reason="too long")
        return group


def manifest(digest: str) -> Manifest:
    return Manifest(
        digest=digest,
        evidence_digest="",
        recipe={"name": "adaptive"},
        models={},
        grader="",
        seed=0,
        versions={},
        problems="",
    )


def run(folder: Path, digest: str, program: Work, *, num_engines: int = 1) -> None:
    import ray

    source = store(folder / "in", NUM_GROUPS)
    tally = ray.remote(num_cpus=0)(Tally).remote()
    with job_seen(folder, manifest(digest), unwatched, Ending()) as watch:
        stage_run = StageRun(
            name="label",
            num_groups=NUM_GROUPS,
            num_stored=0,
            tally=tally,
            num_engines=num_engines,
            num_gpus=2.0,
        )
        with watch(stage_run):
            run_stage(
                pending=rows_in(source),
                folder=StageFolder(path=folder / "stage").open_pass(),
                program=program,
                section=ModelSection(
                    model="scripted", num_engines=num_engines, num_cpus=0.5, groups_in_flight=8
                ),
                tally=tally,
                open_engine=silent_engine,
            )
        event("shard sealed", path="data/train-00000.parquet", num_sealed=1)


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_status_and_log_tell_what_was_done(ray_cluster: None, tmp_path: Path) -> None:
    run(tmp_path, "told", Work())
    status = read_status(tmp_path)
    assert (status.state, status.digest, status.num_shards_sealed) == (State.DONE, "told", 1)
    (stage,) = status.stages
    assert (stage.state, stage.num_ok, stage.num_dropped, stage.num_failed) == (
        State.DONE,
        NUM_GROUPS - 2,
        1,
        1,
    )
    assert stage.program.num_rollouts == stage.engine.num_generated_tokens == 3 * NUM_GROUPS
    assert (stage.program.num_steps, stage.program.num_undecided) == (4 * NUM_GROUPS, NUM_GROUPS)
    assert stage.drop_reasons == {"too long": 1}
    assert [f.problem_id for f in stage.recent_failures] == ["p003"]
    assert 0 < stage.gpu_s <= 2 * stage.elapsed_s
    events = log_of(tmp_path)
    assert {line["job"] for line in events} == {"told"}
    assert [line["event"] for line in events] == [
        "job started",
        "stage started",
        "engine up",
        "group failed",
        "stage done",
        "shard sealed",
        "job done",
    ]
    (failed,) = [line for line in events if line["event"] == "group failed"]
    assert (failed["problem_id"], failed["reason"]) == ("p003", "RuntimeError: odd")
    (done,) = [line for line in events if line["event"] == "stage done"]
    assert (done["ok"], done["rollouts"]) == (NUM_GROUPS - 2, 3 * NUM_GROUPS)


def test_an_engine_that_dies_is_told_and_its_rows_are_counted_once(
    ray_cluster: None, tmp_path: Path
) -> None:
    run(tmp_path, "deaths", Work(killing="p010", marks=str(tmp_path / "killed")))
    (stage,) = read_status(tmp_path).stages
    assert stage.num_done == NUM_GROUPS
    assert (stage.num_engine_deaths, stage.num_workers_replaced) == (1, 1)
    names = Counter(line["event"] for line in log_of(tmp_path))
    assert (names["engine up"], names["engine died"], names["worker replaced"]) == (2, 1, 1)
    (died,) = [line for line in log_of(tmp_path) if line["event"] == "engine died"]
    assert died["reason"] == "CUDA error"


def scraped(port: int, digest: str) -> dict[str, float]:
    """Metrics of a job on a node's port, summed over engines."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found: Counter[str] = Counter()
    for line in text.splitlines():
        match = re.fullmatch(r"ray_prm_factory_(\w+)\{(.*)\} (\S+)", line)
        if match and f'job_digest="{digest}"' in match[2]:
            found[match[1]] += float(match[3])
    return dict(found)


def test_what_is_scraped_equals_what_was_done(ray_cluster: None, tmp_path: Path) -> None:
    import ray

    pytest.importorskip("opencensus", reason="Ray exports metrics with ray[default] only")
    port = ray.nodes()[0]["MetricsExportPort"]
    run(tmp_path, "scraped", Work(), num_engines=2)
    deadline_s = time.monotonic() + DEADLINE_S
    found: dict[str, float] = {}
    running = ("requests_running", "rows_in_flight", "engines")
    while time.monotonic() < deadline_s:
        if found.get("rows_done_total", 0) >= NUM_GROUPS - 2 and not any(map(found.get, running)):
            break
        time.sleep(0.5)
        found = scraped(port, "scraped")
    counts = {
        "rows_done": NUM_GROUPS - 2,
        "rows_dropped": 1,
        "rows_failed": 1,
        "rollouts": 3 * NUM_GROUPS,
        "completions": 3 * NUM_GROUPS,
        "generated_tokens": 3 * NUM_GROUPS,
        "prompt_tokens": 2 * 3 * NUM_GROUPS,
        "rounds": NUM_GROUPS,
        "steps": 4 * NUM_GROUPS,
        "steps_undecided": NUM_GROUPS,
    }
    assert {name: found.get(f"{name}_total") for name in counts} == counts
    (stage,) = read_status(tmp_path).stages
    assert found["gpu_seconds_total"] == pytest.approx(stage.gpu_s)
    assert [found[name] for name in running] == [0, 0, 0]
    assert "engine_deaths_total" not in found


def test_an_error_ends_the_status_too(ray_cluster: None, tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="broken"),
        job_seen(tmp_path, manifest("e"), unwatched, Ending()),
    ):
        raise ValueError("broken")
    status = read_status(tmp_path)
    assert (status.state, status.error) == (State.FAILED, "ValueError: broken")
    assert [line["event"] for line in log_of(tmp_path)] == ["job started", "job failed"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_job_that_somebody_stops_says_so(
    stop: type[BaseException], ray_cluster: None, tmp_path: Path
) -> None:
    with pytest.raises(stop), job_seen(tmp_path, manifest("s"), unwatched, Ending()):
        raise stop
    assert read_status(tmp_path).state is State.STOPPED


class Beating(EngineWorker):
    beat_s = 0.05


def test_a_worker_without_work_is_heard(ray_cluster: None, tmp_path: Path) -> None:
    import ray

    tally = ray.remote(num_cpus=0)(Tally).remote()
    idle = ray.remote(num_cpus=0)(Beating).remote(silent_engine, dict, Work(), tmp_path, tally)
    silent_s: list[float] = []
    deadline_s = time.monotonic() + DEADLINE_S
    while not any(later < earlier for earlier, later in pairwise(silent_s)):
        assert time.monotonic() < deadline_s
        silent_s += [one.silent_s for one in ray.get(tally.by_worker.remote()).values()]
    ray.kill(idle)
