"""Means over seeds with their intervals, of what the benchmarks said of each run."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, variance
from typing import Any

from scipy.stats import norm, t

from factory.evaluation.resampling import LEVEL

QUANTILE = (1 + LEVEL) / 2
Z = float(norm.ppf(QUANTILE))
F1 = "held-out F1"
"""Of first errors, on the families that did not choose the threshold."""
METHODS = ("prm-last", "prm-min", "prm-product", "vote-min", "vote-product")
Estimates = Mapping[str, Mapping[str, Any]]
"""By quantity: `value`, `low` and `high`, the interval over problems."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """Over seeds; the interval adds the spread between seeds to that between problems."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedSpread:
    """How far trainings that differ in their seed lie apart.

    Two or three seeds say little of it, so it is that of all recipes under one condition.
    """

    variance: float
    num_free: int
    """Degrees of freedom: seeds less one, over recipes. 0: nothing is known, and nothing added."""

    def half_width(self, of_problems: float, share: float) -> float:
        """Of the 95 % interval of something whose variance over problems is given, and over seeds
        is this share of that of one training."""
        quantile = float(t.ppf(QUANTILE, self.num_free)) if self.num_free else 0.0
        return sqrt(Z**2 * of_problems + quantile**2 * self.variance * share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One recipe under one condition."""

    recipe: str
    condition: str
    num_seeds: int
    num_solutions: float
    num_rows: float
    num_tokens: float
    values: dict[str, Mean]
    """`F1`, and accuracies at best of 8 by method."""
    over_majority: dict[str, Mean]
    """By method of best of 8."""
    over_reference: dict[str, Mean] | None = None
    """Values less those of the reference recipe under the same condition, on the same problems."""


def values_of(found: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What an evaluation says of every quantity."""
    accuracies = by_method(found, "accuracy")
    return {F1: found["processbench"]["held_out_f1"], **{m: accuracies[m] for m in METHODS}}


def by_method(found: Mapping[str, Any], quantity: str) -> dict[str, Mapping[str, Any]]:
    """An evaluation's "accuracy", or its "gain" over the majority, for every way to choose."""
    return {m["method"]: m[quantity] for m in found["best_of"]["methods"]}


def summarise(runs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[Summary]:
    """Runs with what the benchmarks said, by recipe and condition in their order."""
    by_kind: dict[tuple[str, str], list[tuple[Mapping[str, Any], Mapping[str, Any]]]]
    by_kind = defaultdict(list)
    for run, scores in runs:
        by_kind[run["recipe"], run["condition"]].append((run, scores))
    spreads = seed_spreads((run, values_of(scores)) for run, scores in runs)
    return [_summary(*kind, members, spreads[kind[1]]) for kind, members in by_kind.items()]


def seed_spreads(
    runs: Iterable[tuple[Mapping[str, Any], Estimates]],
) -> dict[str, dict[str, SeedSpread]]:
    """By condition and quantity, pooled over recipes; what was not trained has no seeds."""
    by_kind: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for run, estimates in runs:
        for quantity, found in estimates.items():
            values = by_kind[run["condition"], quantity, run["recipe"]]
            if run["num_rows"]:
                values.append(found["value"])
    groups: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    for (condition, quantity, _), values in by_kind.items():
        groups[condition][quantity].append(values)
    return {
        condition: {quantity: pooled(groups) for quantity, groups in of_condition.items()}
        for condition, of_condition in groups.items()
    }


def pooled(groups: Sequence[Sequence[float]]) -> SeedSpread:
    """The variance within groups: each one's, weighted by its degrees of freedom."""
    telling = [group for group in groups if len(group) > 1]
    num_free = sum(len(group) - 1 for group in telling)
    total = sum(variance(group) * (len(group) - 1) for group in telling)
    return SeedSpread(variance=total / num_free if num_free else 0.0, num_free=num_free)


def _summary(
    recipe: str,
    condition: str,
    members: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
    spreads: Mapping[str, SeedSpread],
) -> Summary:
    runs = [run for run, _ in members]
    share = seed_share(runs)
    values = [values_of(found) for _, found in members]
    gains = [by_method(found, "gain") for _, found in members]
    return Summary(
        recipe=recipe,
        condition=condition,
        num_seeds=len(runs),
        num_solutions=mean(run["num_solutions"] for run in runs),
        num_rows=mean(run["num_rows"] for run in runs),
        num_tokens=mean(run["num_tokens"] for run in runs),
        values={q: combined([v[q] for v in values], spreads[q], share) for q in spreads},
        # the majority's accuracy is that of every seed, so a gain spreads as the accuracy does
        over_majority={q: combined([g[q] for g in gains], spreads[q], share) for q in METHODS},
    )


def seed_share(runs: Sequence[Mapping[str, Any]]) -> float:
    """Of one training's variance over seeds, what their mean has."""
    num_trained = len([run for run in runs if run["num_rows"]])
    return num_trained / len(runs) ** 2


def combined(estimates: Sequence[Mapping[str, Any]], spread: SeedSpread, seed_share: float) -> Mean:
    """The mean of one estimate per seed.

    Its error has two parts: that of the problems, which all seeds share, and that of the seeds,
    which their number divides.
    """
    value: float = mean(e["value"] for e in estimates)
    of_problems = mean((e["high"] - e["low"]) / (2 * Z) for e in estimates) ** 2
    half = spread.half_width(of_problems, seed_share)
    return Mean(value=value, low=value - half, high=value + half)
