"""What a PRM on the shipped backbone can reach with perfect labels: the ceiling of any recipe.

`python -m factory.toy.measure_prm` samples solutions from the shipped solver, labels them with the
oracle, fine-tunes the backbone on more and more of them and measures each PRM on the shipped
benchmarks: the first error found (F1 of ProcessBench, at a threshold of 0.5) and best of 8.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from factory.toy import MODEL_DIR
from factory.toy.benchmark_files import (
    BEST_OF_8,
    NUM_SOLUTIONS,
    PROCESSBENCH,
    SUBSETS,
    benchmark_questions,
    read_rows,
    sample_solutions,
)
from factory.toy.oracle import first_error, judge
from factory.toy.prm import BACKBONE_DIR, LabelledSteps, fine_tuning, load_scorer, train_prm
from factory.toy.sampling import load_sampler
from factory.toy.world import TRAINING_LEVELS, make_problems

POOL_SEED = 53_000
SIZES = (100, 300, 1000, 3000, 10000)
THRESHOLD = 0.5
NUM_RESAMPLES = 2000

Scores = list[list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean over problems with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def labelled_by_oracle(question: str, steps: Sequence[str], error: int | None) -> LabelledSteps:
    """Good up to the first false step, bad from it on."""
    labels = tuple(error is None or i < error for i in range(len(steps)))
    return LabelledSteps(question=question, steps=tuple(steps), labels=labels)


def sample_pool(num_problems: int) -> list[LabelledSteps]:
    """Eight labelled solutions for every problem that is not in a benchmark, in random order."""
    hidden = benchmark_questions()
    problems = make_problems(num_problems, POOL_SEED, TRAINING_LEVELS)
    problems = [problem for problem in problems if problem.question not in hidden]
    solutions = sample_solutions(load_sampler(MODEL_DIR), problems, NUM_SOLUTIONS, POOL_SEED)
    pool = [
        labelled_by_oracle(problem.question, steps, first_error(judge(problem, steps)))
        for problem, written in zip(problems, solutions, strict=True)
        for steps in written
    ]
    Random(POOL_SEED).shuffle(pool)
    return pool


def first_error_f1(scores: Scores, labels: Sequence[int], threshold: float) -> float:
    """Harmonic mean of the accuracies on solutions with an error and without; 0 if both are 0."""
    found = [next((i for i, p in enumerate(s) if p < threshold), -1) for s in scores]
    pairs = list(zip(found, labels, strict=True))
    on_wrong = np.mean([f == label for f, label in pairs if label >= 0])
    on_right = np.mean([f == label for f, label in pairs if label < 0])
    both = on_wrong + on_right
    return float(2 * on_wrong * on_right / both) if both else 0.0


AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "last": lambda scores: scores[-1],
    "product": lambda scores: float(np.prod(scores)),
}


def best_of(rows: Sequence[dict[str, Any]], scores: Scores) -> dict[str, np.ndarray]:
    """For every way to choose, per problem: the chance that the chosen solution is right."""
    chances: dict[str, list[float]] = defaultdict(list)
    remaining = iter(scores)
    for row in rows:
        solutions = row["solutions"]
        own = [next(remaining) for _ in solutions]
        is_correct = [s["is_correct"] for s in solutions]
        # A solution without an answer votes for itself alone.
        answers = [s["answer"] or f"none {i}" for i, s in enumerate(solutions)]
        chances["pass@1"].append(float(np.mean(is_correct)))
        chances["pass@8"].append(float(any(is_correct)))
        chances["majority"].append(_chosen(answers, [1.0] * len(answers), is_correct))
        for name, aggregate in AGGREGATES.items():
            values = [aggregate(s) for s in own]
            alone = [str(i) for i in range(len(values))]
            chances[f"PRM {name}"].append(_chosen(alone, values, is_correct))
            chances[f"vote by {name}"].append(_chosen(answers, values, is_correct))
    return {name: np.array(values) for name, values in chances.items()}


def _chosen(classes: Sequence[str], weights: Sequence[float], is_correct: Sequence[bool]) -> float:
    """The class of the largest total weight; ties are broken by a fair draw."""
    totals: dict[str, float] = defaultdict(float)
    truth: dict[str, bool] = {}
    for name, weight, correct in zip(classes, weights, is_correct, strict=True):
        totals[name] += weight
        truth[name] = correct
    largest = max(totals.values())
    return float(np.mean([truth[name] for name, total in totals.items() if total == largest]))


def interval(values: np.ndarray) -> Interval:
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (NUM_RESAMPLES, len(values)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(mean=float(values.mean()), low=float(low), high=float(high))


def measure(score: Callable[[Sequence[tuple[str, Sequence[str]]]], Scores]) -> None:
    """Print what a scorer does on both benchmarks."""
    checked = read_rows(PROCESSBENCH)
    scores = score([(row["problem"], row["steps"]) for row in checked])
    for subset in (*SUBSETS.values(), ""):
        chosen = [i for i, row in enumerate(checked) if row["id"].startswith(subset)]
        labels = [checked[i]["label"] for i in chosen]
        f1 = first_error_f1([scores[i] for i in chosen], labels, THRESHOLD)
        print(f"  first-error F1, {subset or 'all'}: {f1:.3f} of {len(chosen)}")
    rows = read_rows(BEST_OF_8)
    solutions = [(row["problem"], s["steps"]) for row in rows for s in row["solutions"]]
    chances = best_of(rows, score(solutions))
    for name, values in chances.items():
        gain = interval(values - chances["majority"])
        print(f"  {name}: {interval(values)}, over majority {gain}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", type=Path, default=BACKBONE_DIR)
    parser.add_argument("--pool", type=Path, help="file that keeps the labelled solutions")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.pool is not None and arguments.pool.exists():
        pool = [
            LabelledSteps(question=q, steps=tuple(s), labels=tuple(x))
            for q, s, x in map(json.loads, arguments.pool.read_text().splitlines())
        ]
    else:
        pool = sample_pool(-(-max(arguments.sizes) * 21 // 160))
        if arguments.pool is not None:
            lines = [json.dumps([r.question, r.steps, r.labels]) + "\n" for r in pool]
            arguments.pool.write_text("".join(lines))
    tokenizer = AutoTokenizer.from_pretrained(arguments.backbone)
    for size in arguments.sizes:
        settings = fine_tuning(size)
        began = time.perf_counter()
        model = train_prm(pool[:size], settings, arguments.seed, arguments.backbone)
        elapsed_s = time.perf_counter() - began
        num_steps = sum(len(row.steps) for row in pool[:size])
        print(f"{size} solutions, {num_steps} steps, {settings}, {elapsed_s:.0f} s", flush=True)
        measure(load_scorer(model, tokenizer))


if __name__ == "__main__":
    main()
