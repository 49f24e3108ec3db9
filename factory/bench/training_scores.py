"""Means over seeds with their intervals, of what the benchmarks said of each run."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, variance
from typing import Any

Z_95 = 1.96
METHODS = ("prm-last", "prm-min", "prm-product", "vote-min", "vote-product")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """Over seeds; the interval adds the spread between seeds to that between problems."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One recipe under one condition."""

    recipe: str
    condition: str
    num_seeds: int
    num_solutions: float
    num_rows: float
    num_tokens: float
    first_error_f1: Mean
    best_of_8: dict[str, Mean]
    gain_over_majority: dict[str, Mean]
    f1_gain: Mean | None = None
    """Over the reference recipe under the same condition, on the same problems."""


def summarise(runs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[Summary]:
    """Runs with what the benchmarks said, by recipe and condition in their order."""
    by_kind: dict[tuple[str, str], list[tuple[Mapping[str, Any], Mapping[str, Any]]]]
    by_kind = defaultdict(list)
    for run, scores in runs:
        by_kind[run["recipe"], run["condition"]].append((run, scores))
    return [_summary(*kind, members) for kind, members in by_kind.items()]


def _summary(
    recipe: str, condition: str, members: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> Summary:
    runs = [run for run, _ in members]
    scores = [found for _, found in members]
    methods = [{m["method"]: m for m in found["best_of"]["methods"]} for found in scores]
    return Summary(
        recipe=recipe,
        condition=condition,
        num_seeds=len(runs),
        num_solutions=mean(run["num_solutions"] for run in runs),
        num_rows=mean(run["num_rows"] for run in runs),
        num_tokens=mean(run["num_tokens"] for run in runs),
        first_error_f1=combined([found["processbench"]["average_f1"] for found in scores]),
        best_of_8={name: combined([m[name]["accuracy"] for m in methods]) for name in METHODS},
        gain_over_majority={name: combined([m[name]["gain"] for m in methods]) for name in METHODS},
    )


def combined(estimates: Sequence[Mapping[str, Any]]) -> Mean:
    """The mean of one estimate per seed.

    Its error has two parts: that of the problems, which all seeds share, and that of the seeds,
    which their number divides. With one seed the second is unknown and left out.
    """
    values = [e["value"] for e in estimates]
    of_problems = mean((e["high"] - e["low"]) / (2 * Z_95) for e in estimates) ** 2
    of_seeds = variance(values) / len(values) if len(values) > 1 else 0.0
    half = Z_95 * sqrt(of_problems + of_seeds)
    return Mean(value=mean(values), low=mean(values) - half, high=mean(values) + half)
