"""Which recipe to choose: the same small PRM trained on the same solutions, labelled differently.

Every recipe labels the same sampled solutions by the same stored rollouts. A PRM is trained on its
rows from the shipped backbone and measured on benchmarks made as the shipped ones are: the first
error found (F1 of ProcessBench on the families that did not choose the threshold), and best of 8.
Two comparisons: all solutions whatever the labels cost, and as many solutions as a budget of tokens
pays for. The learning rate follows from the number of solutions that are labelled, kept or not.
Intervals are 95 %, of the mean over seeds: problems resampled, and the spread between seeds.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.progress import track

from factory.bench.bank import collect
from factory.bench.critics import criticise
from factory.bench.report import write_report
from factory.bench.training_pairs import difference, resampled
from factory.bench.training_plot import plot_best_of_8, plot_first_errors, print_table
from factory.bench.training_rows import LabelledRow, recipes
from factory.bench.training_runs import Run, planned
from factory.bench.training_scores import (
    Mean,
    Summary,
    by_method,
    seed_share,
    seed_spreads,
    summarise,
    values_of,
)
from factory.bench.training_world import BANK, BENCHMARKS, NAME, SEEDS
from factory.evaluation.run import REPORT_FILE
from factory.toy.benchmark_files import (
    PROCESSBENCH,
    benchmark_questions,
    make_benchmarks,
)
from factory.toy.prm import BACKBONE_DIR, score_toy_prm, train_toy_prm

REFERENCE = "hard, K = 8"
"""Math-Shepherd's labels."""


def measure(folder: Path, num_processes: int = 2) -> None:
    """Labels, trains and scores; prints tables and writes a report and pictures."""
    trials, benchmarks = folder / NAME, folder / f"{NAME}-benchmarks"
    trials.mkdir(parents=True, exist_ok=True)
    if not (benchmarks / PROCESSBENCH.name).exists():  # written last
        make_benchmarks(benchmarks, BENCHMARKS, hidden=benchmark_questions())
    hidden = benchmark_questions() | benchmark_questions(benchmarks)
    labelled = _labelled(folder, hidden, num_processes)
    runs = planned(labelled, trials, benchmarks)
    score = partial(_train_and_score, benchmarks=benchmarks)
    with ProcessPoolExecutor(num_processes, mp_context=get_context("spawn")) as pool:
        found = list(track(pool.map(score, runs), description="training PRMs", total=len(runs)))
    rows = summarise([(asdict(run), scores) for run, scores in zip(runs, found, strict=True)])
    rows = _with_differences(rows, runs, found, benchmarks)
    print_table(rows)
    report = _report(rows, found)
    write_report(NAME, report)
    plot_first_errors(rows, folder.parent / f"{NAME}.png")
    plot_best_of_8(rows, folder.parent / f"{NAME}-best-of-8.png", report["majority"]["value"])


def _labelled(
    folder: Path, hidden: frozenset[str], num_processes: int
) -> dict[str, list[LabelledRow]]:
    """Every recipe's rows of the same solutions, none of a problem that is in a benchmark."""
    bank = collect(folder / f"{NAME}-bank.json", BANK, num_processes)
    kept = folder / f"{NAME}-critics.json"
    criticisms = criticise(kept, bank, BANK.seed, num_processes)
    pairs = [(s, c) for s, c in zip(bank, criticisms, strict=True) if s.question not in hidden]
    return {
        name: [recipe(solution, criticism) for solution, criticism in pairs]
        for name, recipe in recipes().items()
    }


def _train_and_score(run: Run, benchmarks: Path) -> dict[str, Any]:
    """In a process of its own; what the benchmarks say. Runs that are done are not done again."""
    import torch

    torch.set_num_threads(1)  # the environment is read too early to say so: vLLM preloads OpenMP
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
            score_toy_prm(model, run.scores, benchmarks)
            shutil.rmtree(model)
        else:
            score_toy_prm(BACKBONE_DIR, run.scores, benchmarks)
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def _with_differences(
    rows: Sequence[Summary],
    runs: Sequence[Run],
    found: Sequence[dict[str, Any]],
    benchmarks: Path,
) -> list[Summary]:
    """Each with its differences to the reference's, seed by seed."""
    described = [asdict(run) for run in runs]
    values = [values_of(scores) for scores in found]
    drawn = resampled([run.scores for run in runs], benchmarks)
    spreads = seed_spreads(zip(described, values, strict=True))
    of_kind: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, run in enumerate(runs):
        of_kind[run.recipe, run.condition].append(i)

    def differences(row: Summary) -> dict[str, Mean] | None:
        ours, theirs = of_kind[row.recipe, row.condition], of_kind.get((REFERENCE, row.condition))
        if theirs is None or ours == theirs:
            return None
        pairs = list(zip(ours, theirs, strict=True))
        share = sum(seed_share([described[i] for i in side]) for side in (ours, theirs))
        return {
            name: difference(
                [drawn[i][name] for i in ours],
                [drawn[i][name] for i in theirs],
                [(values[i][name]["value"], values[k][name]["value"]) for i, k in pairs],
                spread,
                share,
            )
            for name, spread in spreads[row.condition].items()
        }

    return [replace(row, over_reference=differences(row)) for row in rows]


def _silent(line: str) -> None:
    """A hundred trainings need not tell of themselves."""


def _report(rows: Sequence[Summary], found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    fixed = by_method(found[0], "accuracy")
    return {
        "seeds": len(SEEDS),
        "pass@1": fixed["pass@1"],
        "majority": fixed["majority"],
        "pass@8": fixed["pass@N"],
        "rows": [asdict(row) for row in rows],
    }
