"""Whether time follows tokens: whole estimate stages on the engine, the same solutions for each.

A round that waits for its last rollout, or a planner that keeps the engine waiting, would eat up
what fewer tokens save. The fixed K = 32 has neither, so it is the measure.
"""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from factory.bench.saturation import prompt_of, run_program
from factory.core.chain import Chain, Counts
from factory.core.planners import FixedK, Plan, Planner
from factory.core.selection import Selection
from factory.demo import toy_job
from factory.job import Job
from factory.programs.estimate import Estimate
from factory.programs.sample import Sample
from factory.recipes import load_recipe
from factory.stage_folder import StageFolder
from factory.toy.world import make_problems
from schemas.arrow import arrow_schema, to_row
from schemas.records import ProblemGroup, StopReason
from workers.tally import WorkerCounts

NUM_PROBLEMS = 80
MAX_SOLUTIONS = 3
SEED = 16
REPEATS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A planner that writes down how long each of its plans took, in seconds, a line each."""

    planner: Planner
    path: str

    def plan(self, chain: Chain) -> Plan:
        started_s = time.perf_counter()
        plan = self.planner.plan(chain)
        seconds = time.perf_counter() - started_s
        with open(self.path, "a", encoding="utf-8") as lines:
            lines.write(f"{seconds}\n")
        return plan

    def stop_reason(self, counts: Counts) -> StopReason:
        return self.planner.stop_reason(counts)


def measure_walls(folder: Path, num_problems: int = NUM_PROBLEMS) -> dict[str, Any]:
    """Runs the stage under each planner, `REPEATS` times in turn; medians over the repeats."""
    shutil.rmtree(folder, ignore_errors=True)
    folder = folder.resolve()
    job = toy_job(folder / "job", num_problems)
    source = _solutions(folder, job, num_problems)
    adaptive = load_recipe("adaptive")
    planners = {"fixed": FixedK(num_rollouts=32), "adaptive": adaptive.planner}
    runs: list[dict[str, WorkerCounts]] = []
    planning_shares = []
    for repeat in range(REPEATS):
        runs.append({})
        for name, planner in planners.items():
            times = folder / f"plans-{name}-{repeat}.txt"
            timed = replace(adaptive, planner=Timed(planner=planner, path=str(times)))
            program = Estimate(recipe=timed, prompt=prompt_of(job), seed=job.seed)
            counts = run_program(program, source, folder / f"stage-{name}-{repeat}", job)
            runs[-1][name] = counts
            print(
                f"{name}: {counts.engine.num_generated_tokens:,} tokens in {counts.working_s:.0f} s"
            )
            if name == "adaptive":
                seconds = [float(line) for line in times.read_text().split()]
                planning_shares.append(sum(seconds) / counts.working_s)
    wall_gains = [run["fixed"].working_s / run["adaptive"].working_s for run in runs]
    token_gains = [_tokens(run["fixed"]) / _tokens(run["adaptive"]) for run in runs]
    followed = [wall / token for wall, token in zip(wall_gains, token_gains, strict=True)]
    print(
        f"wall {median(wall_gains):.1f} times less for {median(token_gains):.1f} times fewer "
        f"tokens: {median(followed):.2f}; planning {median(planning_shares):.1%} of the time"
    )
    return {
        "wall_gain": median(wall_gains),
        "token_gain": median(token_gains),
        "wall_gain_over_token_gain": median(followed),
        "wall_gain_over_token_gains": followed,
        "planning_share_of_wall": median(planning_shares),
        "wall_s": {name: [run[name].working_s for run in runs] for name in planners},
        "wall_tokens": {name: _tokens(runs[-1][name]) for name in planners},
    }


def _tokens(counts: WorkerCounts) -> int:
    return counts.engine.num_generated_tokens


def _solutions(folder: Path, job: Job, num_problems: int) -> list[Path]:
    """Sampled solutions of toy problems, as the estimate stage reads them."""
    groups = [
        ProblemGroup(problem_id=str(p.seed), question=p.question, answer=p.answer)
        for p in make_problems(num_problems, seed=SEED)
    ]
    problems = folder / "problems.parquet"
    rows = [to_row(group) for group in groups]
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(ProblemGroup)), problems)
    selection = Selection(min_correct=1, max_solutions=MAX_SOLUTIONS)
    recipe = replace(load_recipe("adaptive"), selection=selection)
    program = Sample(recipe=recipe, prompt=prompt_of(job), seed=job.seed)
    run_program(program, [problems], folder / "samples", job)
    return StageFolder(path=folder / "samples").files()
