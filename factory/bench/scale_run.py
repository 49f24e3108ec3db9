"""One run of a whole job on simulated engines, and what its driver cost. A process of its own.

Prints one line of JSON. The driver is this process: it runs the pipeline and follows it as the
command line would. What it spent is read between the moment every engine works and the moment a
tenth of the problems is left.
"""

import json
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from factory.bench.scripted_world import problems, reply, short_reply
from factory.bench.simulated_engine import OpenSimulated, Speed
from factory.job import Job, ModelSection, ProblemsSection
from factory.pipeline import label
from factory.relabel import relabel
from factory.toy import MODEL_DIR
from factory.watching.stage_run import StageRun
from workers.beside import beside

SAMPLE_INTERVAL_S = 0.5
TAIL = 0.1
"""The share of problems at the end that is not measured: engines run empty there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The driver and the stage at one moment."""

    at_s: float
    driver_cpu_s: float
    ray_cpu_s: float
    """Of this node's raylet and of the cluster's control store."""
    rss_bytes: int
    num_workers: int
    num_groups: int
    num_completions: int
    num_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is run."""

    num_processes: int
    num_problems: int
    speed: Speed
    is_adaptive: bool
    """The adaptive recipe; otherwise next to no work per problem."""


def run(what: Run, folder: Path) -> dict[str, Any]:
    """Labels so many problems, then does so again with everything done; returns the figures."""
    folder.mkdir(parents=True)
    rows = "".join(json.dumps(row) + "\n" for row in problems(what.num_problems))
    (folder / "problems.jsonl").write_text(rows)
    recipe = "scale_recipe.py" if what.is_adaptive else "scale_books_recipe.py"
    job = Job(
        problems=ProblemsSection(path=str(folder / "problems.jsonl")),
        generator=ModelSection(
            model=str(MODEL_DIR),
            num_engines=what.num_processes,
            num_cpus=0.02,
            engine_args={"max_model_len": 8192},
        ),
        recipe=str(Path(__file__).with_name(recipe)),
    )
    opened = OpenSimulated(
        reply=reply if what.is_adaptive else short_reply,
        speed=what.speed,
        costs_folder=folder / "costs",
    )
    samples: list[Sample] = []
    stages: list[tuple[float, float]] = []
    started_s, started_cpu_s = time.monotonic(), time.process_time()
    manifest = label(
        job,
        folder / "out",
        lambda stage: _sampled(stage, samples, stages),
        allow_code=True,
        opener=lambda section: opened,
    )
    ended_s, ended_cpu_s = time.monotonic(), time.process_time()
    [(stage_started_s, stage_ended_s)] = stages
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    label(
        job,
        folder / "out",
        lambda stage: _sampled(stage, [], []),
        allow_code=True,
        opener=lambda section: opened,
    )
    again_s = time.monotonic() - ended_s
    publishing_s = time.process_time()
    relabel(folder / "out", job.recipe, folder / "relabelled")
    publishing_s = time.process_time() - publishing_s
    return {
        "num_engines": what.num_processes * what.speed.num_engines,
        **asdict(what),
        "prepare_s": stage_started_s - started_s,
        "stage_s": stage_ended_s - stage_started_s,
        "finish_s": ended_s - stage_ended_s,
        "again_s": again_s,
        "publishing_cpu_s": publishing_s,
        "driver_cpu_s": ended_cpu_s - started_cpu_s,
        "driver_peak_rss_mb": rss_mb,
        "num_rows": manifest.summary["num_solutions"],
        "num_files": sum(path.is_file() for path in (folder / "out").rglob("*")),
        **_steady(samples, what.num_processes, what.num_problems),
        **_workers(folder / "costs"),
    }


@contextmanager
def _sampled(
    stage: StageRun, samples: list[Sample], stages: list[tuple[float, float]]
) -> Iterator[None]:
    """Follows the stage as a progress bar would."""
    started_s = time.monotonic()

    def follow(stop: threading.Event) -> None:
        this = psutil.Process()
        of_ray = [p for p in this.children() if p.name() in ("raylet", "gcs_server")]
        while not stop.wait(SAMPLE_INTERVAL_S):
            samples.append(_sample(stage.tally, this, of_ray))

    try:
        with beside("samples", follow):
            yield
    finally:
        stages.append((started_s, time.monotonic()))


def _sample(tally: Any, this: psutil.Process, of_ray: list[psutil.Process]) -> Sample:
    import ray

    counts = ray.get(tally.total.remote())
    return Sample(
        at_s=time.monotonic(),
        driver_cpu_s=time.process_time(),
        ray_cpu_s=sum(map(_cpu_s, of_ray)),
        rss_bytes=this.memory_info().rss,
        num_workers=ray.get(tally.num_workers.remote()),
        num_groups=counts.num_groups,
        num_completions=counts.engine.num_finished,
        num_tokens=counts.engine.num_generated_tokens,
    )


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _steady(samples: list[Sample], num_engines: int, num_problems: int) -> dict[str, Any]:
    working = [s for s in samples if s.num_workers == num_engines and s.num_completions]
    steady = [s for s in working if s.num_groups <= (1 - TAIL) * num_problems]
    if len(steady) < 2:
        sys.exit("the run was too short to measure: give it more problems")
    first, last = steady[0], steady[-1]
    seconds = last.at_s - first.at_s
    completions = last.num_completions - first.num_completions
    driver_s = last.driver_cpu_s - first.driver_cpu_s
    ray_s = last.ray_cpu_s - first.ray_cpu_s
    return {
        "steady_s": seconds,
        "steady_completions": completions,
        "completions_per_s": completions / seconds,
        "tokens_per_s": (last.num_tokens - first.num_tokens) / seconds,
        "driver_cores": driver_s / seconds,
        "driver_ms_per_completion": 1000 * driver_s / completions,
        "ray_cores": ray_s / seconds,
        "ray_ms_per_completion": 1000 * ray_s / completions,
        "driver_rss_mb": last.rss_bytes / 2**20,
    }


def _workers(folder: Path) -> dict[str, Any]:
    found = [json.loads(file.read_text()) for file in folder.glob("*.json")]
    total = {name: sum(one[name] for one in found) for name in found[0]}
    completions = total["num_completions"]
    return {
        "planning_ms_per_completion": 1000 * total["planning_s"] / completions,
        "planning_ms_per_plan": 1000 * total["planning_s"] / max(1, total["num_plans"]),
        "simulator_ms_per_completion": 1000 * total["simulating_s"] / completions,
        "worker_ms_per_completion": 1000 * total["process_s"] / completions,
    }


if __name__ == "__main__":
    told = json.loads(sys.argv[2])
    figures = run(Run(**told | {"speed": Speed(**told["speed"])}), Path(sys.argv[1]).resolve())
    print(json.dumps(figures))
