"""Which recipe to choose: the same small PRM trained on the same solutions, labelled differently.

Every recipe labels the same sampled solutions by the same stored rollouts. A PRM is trained on its
rows from the shipped backbone and measured on benchmarks made as the shipped ones are: the first
error found (F1 of ProcessBench, best threshold on the family `word`), and best of 8. Two
comparisons: all solutions whatever the labels cost, and as many solutions as a budget of tokens
pays for. Two worlds: a solver that is right half of the time, and a hotter one. The learning rate
follows from the number of solutions that are labelled, kept or not. Intervals are 95 %, of the
mean over seeds: problems resampled, and the spread between seeds.
"""

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

from rich.progress import track

from factory.bench.bank import collect
from factory.bench.critics import criticise
from factory.bench.report import write_report
from factory.bench.training_pairs import difference, resampled
from factory.bench.training_plot import plot_best_of_8, plot_first_errors, print_table
from factory.bench.training_rows import ORACLE, LabelledRow, recipes
from factory.bench.training_scores import Mean, Summary, summarise
from factory.bench.training_worlds import World
from factory.evaluation.run import REPORT_FILE
from factory.toy.benchmark_files import (
    BEST_OF_8,
    PROCESSBENCH,
    benchmark_questions,
    make_benchmarks,
)
from factory.toy.prm import BACKBONE_DIR, FineTuning, fine_tuning, score_toy_prm, train_toy_prm

ALL = "all solutions"
NO_LABELS = "no labels"
"""The backbone with the head it comes with."""
REFERENCE = "hard, K = 8"
"""Math-Shepherd's labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training: whose labels, of how many solutions, which seed."""

    recipe: str
    condition: str
    seed: int
    num_solutions: int
    """Labelled, discarded ones included."""
    num_rows: int
    num_tokens: int
    file: Path
    """The rows, named by all that its PRM and its scores depend on."""
    benchmarks: Path

    @property
    def settings(self) -> FineTuning:
        """Alike for all who label as many solutions, however many of them they keep."""
        return fine_tuning(self.num_solutions)

    @property
    def scores(self) -> Path:
        """Where the evaluation of its PRM is kept."""
        return self.file.with_suffix(".scores")


def measure(folder: Path, world: World, num_processes: int = 2) -> None:
    """Labels, trains and scores; prints tables and writes a report and pictures of that name."""
    trials, benchmarks = folder / world.name, folder / f"{world.name}-benchmarks"
    trials.mkdir(parents=True, exist_ok=True)
    if not (benchmarks / PROCESSBENCH.name).exists():  # written last
        make_benchmarks(benchmarks, world.benchmarks, hidden=benchmark_questions())
    hidden = benchmark_questions() | benchmark_questions(benchmarks)
    labelled = _labelled(folder, world, hidden, num_processes)
    runs = list(_runs(world, labelled, trials, benchmarks))
    with ProcessPoolExecutor(num_processes, mp_context=get_context("spawn")) as pool:
        found = list(
            track(pool.map(_train_and_score, runs), description="training PRMs", total=len(runs))
        )
    rows = summarise([(asdict(run), scores) for run, scores in zip(runs, found, strict=True)])
    rows = _with_gains(rows, runs, found, benchmarks)
    print_table(rows)
    report = _report(rows, runs, found)
    write_report(world.name, report)
    plot_first_errors(rows, folder.parent / f"{world.name}.png")
    majority = report["majority"]["value"]
    plot_best_of_8(rows, folder.parent / f"{world.name}-best-of-8.png", majority)


def _labelled(
    folder: Path, world: World, hidden: frozenset[str], num_processes: int
) -> dict[str, list[LabelledRow]]:
    """Every recipe's rows of the same solutions, none of a problem that is in a benchmark."""
    order = world.bank
    bank = collect(folder / f"{world.name}-bank.json", order, num_processes)
    kept = folder / f"{world.name}-critics.json"
    criticisms = criticise(kept, bank, order.seed, num_processes)
    pairs = [(s, c) for s, c in zip(bank, criticisms, strict=True) if s.question not in hidden]
    return {
        name: [recipe(solution, criticism) for solution, criticism in pairs]
        for name, recipe in recipes().items()
    }


def _runs(
    world: World, labelled: dict[str, list[LabelledRow]], folder: Path, benchmarks: Path
) -> Sequence[Run]:
    runs = []
    run = partial(_run, folder=folder, benchmarks=benchmarks)
    for seed in world.seeds:
        runs.append(run(NO_LABELS, ALL, seed, ()))
        for name, rows in labelled.items():
            runs.append(run(name, ALL, seed, _shuffled(rows, seed)))
            if name == ORACLE:
                continue
            for budget in world.token_budgets:
                paid = _paid_by(budget, _shuffled(rows, seed))
                if len(paid) < len(rows):
                    runs.append(run(name, f"{budget:,} tokens", seed, paid))
    return runs


def _shuffled(rows: Sequence[LabelledRow], seed: int) -> list[LabelledRow]:
    """Problems in a random order that is every recipe's; a problem's solutions stay together."""
    problems = sorted({row.problem_id for row in rows})
    Random(seed).shuffle(problems)
    place = {problem: i for i, problem in enumerate(problems)}
    return sorted(rows, key=lambda row: place[row.problem_id])


def _paid_by(budget: int, rows: Sequence[LabelledRow]) -> list[LabelledRow]:
    """The first solutions whose labels a budget of tokens pays for."""
    paid: list[LabelledRow] = []
    for row in rows:
        budget -= row.num_tokens
        if budget < 0:
            break
        paid.append(row)
    return paid


def _run(
    name: str,
    condition: str,
    seed: int,
    labelled: Sequence[LabelledRow],
    *,
    folder: Path,
    benchmarks: Path,
) -> Run:
    kept = [one.row for one in labelled if one.row is not None]
    place = "-".join(f"{name} {condition} {seed}".replace(",", "").split())
    text = "".join(json.dumps(row) + "\n" for row in kept)
    key = sha256(f"{_student(benchmarks)} {fine_tuning(len(labelled))} {text}".encode()).hexdigest()
    file = folder / f"{place}-{key[:12]}.jsonl"
    file.write_text(text, encoding="utf-8")
    return Run(
        recipe=name,
        condition=condition,
        seed=seed,
        num_solutions=len(labelled),
        num_rows=len(kept),
        num_tokens=sum(one.num_tokens for one in labelled),
        file=file,
        benchmarks=benchmarks,
    )


@cache
def _student(benchmarks: Path) -> str:
    """Names what is trained and measured on: other ones have other results."""
    measured_on = [benchmarks / file.name for file in (PROCESSBENCH, BEST_OF_8)]
    files = (BACKBONE_DIR / "model.safetensors", *measured_on)
    return " ".join(sha256(file.read_bytes()).hexdigest() for file in files)


def _train_and_score(run: Run) -> dict[str, Any]:
    """In a process of its own; what the benchmarks say. Runs that are done are not done again."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if not (report := run.scores / REPORT_FILE).exists():
        if run.num_rows:
            model = run.file.with_suffix("")
            shutil.rmtree(model, ignore_errors=True)
            train_toy_prm(
                run.file,
                model,
                num_solutions=run.num_rows,
                seed=run.seed,
                say=_silent,
                suits=run.settings,
            )
            score_toy_prm(model, run.scores, run.benchmarks)
            shutil.rmtree(model)
        else:
            score_toy_prm(BACKBONE_DIR, run.scores, run.benchmarks)
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def _with_gains(
    rows: Sequence[Summary],
    runs: Sequence[Run],
    found: Sequence[dict[str, Any]],
    benchmarks: Path,
) -> list[Summary]:
    """Each with its F1's difference to the reference's, seed by seed."""
    values = [scores["processbench"]["average_f1"]["value"] for scores in found]
    drawn = resampled([run.scores for run in runs], benchmarks)
    of_kind: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, run in enumerate(runs):
        of_kind[run.recipe, run.condition].append(i)

    def gain(row: Summary) -> Mean | None:
        ours, theirs = of_kind[row.recipe, row.condition], of_kind.get((REFERENCE, row.condition))
        if theirs is None or ours == theirs:
            return None
        return difference(
            [drawn[i] for i in ours],
            [drawn[i] for i in theirs],
            [(values[i], values[k]) for i, k in zip(ours, theirs, strict=True)],
        )

    return [replace(row, f1_gain=gain(row)) for row in rows]


def _silent(line: str) -> None:
    """A hundred trainings need not tell of themselves."""


def _report(
    rows: Sequence[Summary], runs: Sequence[Run], found: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    fixed = {m["method"]: m["accuracy"] for m in found[0]["best_of"]["methods"]}
    return {
        "seeds": len({run.seed for run in runs}),
        "pass@1": fixed["pass@1"],
        "majority": fixed["majority"],
        "pass@8": fixed["pass@N"],
        "rows": [asdict(row) for row in rows],
    }
