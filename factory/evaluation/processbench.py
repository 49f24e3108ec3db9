"""ProcessBench (arXiv 2412.06559): is the first wrong step named, and none of a right one?

A scalar PRM calls a step bad when its score is below a threshold, and names the earliest such
step. Its F1 is the harmonic mean of the share of erroneous solutions whose first error it names and
the share of correct ones in which it names none; 0 where both are 0, which the reference code would
divide by. The threshold is chosen on one subset and used on all, as in the paper (there: GSM8K).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isnan

import numpy as np

from factory.evaluation.resampling import (
    Array,
    Estimate,
    Statistic,
    estimate,
    harmonic_mean,
    resampled,
    share,
    summed,
)

CHOOSING_SUBSET = "gsm8k"
"""The paper's; without it the first subset."""
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSolution:
    """A benchmark's solution of T steps with its scores."""

    subset: str
    problem: str
    """What is resampled: solutions of one problem stay together."""
    first_error: int | None
    """0-based; `None` where all steps are right."""
    scores: tuple[float, ...]
    """T scores; NaN where the model gave none. Such a solution counts as judged wrongly."""

    @property
    def is_scored(self) -> bool:
        return not any(isnan(score) for score in self.scores)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Where a score turns bad, and how that was found."""

    value: float
    chosen_on: str | None
    """The subset whose F1 it maximises; `None` where it was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsetScore:
    """A subset's accuracies and F1."""

    subset: str
    accuracy_erroneous: Estimate
    accuracy_correct: Estimate
    f1: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessBenchScore:
    """All subsets and their mean F1."""

    threshold: Threshold
    subsets: tuple[SubsetScore, ...]
    average_f1: Estimate
    """The mean of the subsets' F1: what papers report."""
    held_out_f1: Estimate | None
    """The mean without the subset on which the threshold was chosen; `None` where that is all."""
    num_unscored: int


def predicted_error(scores: Sequence[float], threshold: float) -> int | None:
    """The earliest step that scores below the threshold; `None` if none does."""
    return next((i for i, score in enumerate(scores) if score < threshold), None)


def is_right(solution: JudgedSolution, threshold: float) -> bool:
    """Whether exactly the first error is named, or none where there is none."""
    found = predicted_error(solution.scores, threshold)
    return solution.is_scored and found == solution.first_error


def best_threshold(solutions: Sequence[JudgedSolution]) -> float:
    """The threshold of highest F1 on these solutions; exact, and of several the one nearest 0.5.

    A solution is judged rightly for the thresholds of one interval (above the score of its first
    error, up to the lowest score before it), so F1 changes at scores only, and one threshold of
    every gap between two of them is tried. Below the lowest no error is named, above the highest
    no solution passes: F1 is 0 there. 0.5 where it is so everywhere, or not defined.
    """
    ends = [_right_interval(s) for s in solutions]
    cuts = np.unique([x for pair in ends if pair for x in pair if abs(x) != inf])
    if len(cuts) < 2:
        return DEFAULT_THRESHOLD
    tried = [readable_between(*gap) for gap in pairwise(cuts.tolist())]
    right = {True: np.zeros(len(tried) + 1), False: np.zeros(len(tried) + 1)}
    num = {True: 0, False: 0}
    for solution, pair in zip(solutions, ends, strict=True):
        has_error = solution.first_error is not None
        num[has_error] += 1
        if pair is not None:
            # tried[i] lies above cuts[i] and not above cuts[i + 1]
            right[has_error][0 if pair[0] == -inf else np.searchsorted(cuts, pair[0])] += 1
            right[has_error][-1 if pair[1] == inf else np.searchsorted(cuts, pair[1])] -= 1
    counts = {kind: np.cumsum(steps)[:-1] for kind, steps in right.items()}
    f1 = harmonic_mean(
        share(counts[True], np.array(num[True])), share(counts[False], np.array(num[False]))
    )
    if np.isnan(f1).all() or np.nanmax(f1) == 0:
        return DEFAULT_THRESHOLD
    best = [t for t, value in zip(tried, f1, strict=True) if value >= np.nanmax(f1) - 1e-12]
    return min(best, key=lambda t: abs(t - DEFAULT_THRESHOLD))


def readable_between(low: float, high: float) -> float:
    """The middle in as few decimals as tell it from both; `high` where no number lies between.

    Either has `low` below it, and not `high`.
    """
    middle = (low + high) / 2
    rounded = (round(middle, digits) for digits in range(1, 18))
    return next((x for x in (*rounded, middle) if low < x < high), high)


def choose_threshold(
    solutions: Sequence[JudgedSolution], *, subset: str | None = None, value: float | None = None
) -> Threshold:
    """The given value, or the best on the named subset, GSM8K, or the first there is.

    Raises ValueError for a subset that is not there.
    """
    if value is not None:
        return Threshold(value=value, chosen_on=None)
    known = list(dict.fromkeys(s.subset for s in solutions))
    if subset is None:
        subset = CHOOSING_SUBSET if CHOOSING_SUBSET in known else known[0]
    if subset not in known:
        raise ValueError(f"no subset {subset!r}: there are {', '.join(known)}")
    chosen = best_threshold([s for s in solutions if s.subset == subset])
    return Threshold(value=chosen, chosen_on=subset)


def score_processbench(
    solutions: Sequence[JudgedSolution], threshold: Threshold
) -> ProcessBenchScore:
    """Scores of every subset at one threshold, which the resamples keep. Needs a solution."""
    names = _subsets(solutions)
    sums = {name: _sums([s for s in solutions if s.subset == name], threshold) for name in names}
    subsets = tuple(_subset_score(name, sums[name]) for name in names)
    total = _sums_of_subsets(solutions, threshold)
    others = _held_out(names, threshold)
    has_rest = threshold.chosen_on is not None and bool(others)
    return ProcessBenchScore(
        threshold=threshold,
        subsets=subsets,
        average_f1=estimate(total, _mean_f1(range(len(names))), num=len(solutions)),
        held_out_f1=estimate(
            total, _mean_f1(others), num=sum(s.subset != threshold.chosen_on for s in solutions)
        )
        if has_rest
        else None,
        num_unscored=sum(not s.is_scored for s in solutions),
    )


def resampled_held_out_f1(solutions: Sequence[JudgedSolution], threshold: Threshold) -> Array:
    """`held_out_f1` in every resample of the problems; those of two models that judged the same
    solutions are paired."""
    total = _sums_of_subsets(solutions, threshold)
    statistic = _mean_f1(_held_out(_subsets(solutions), threshold))
    return resampled(total, statistic)


def _held_out(names: Sequence[str], threshold: Threshold) -> list[int]:
    return [i for i, name in enumerate(names) if name != threshold.chosen_on]


def _subsets(solutions: Sequence[JudgedSolution]) -> list[str]:
    return list(dict.fromkeys(s.subset for s in solutions))


def _sums_of_subsets(solutions: Sequence[JudgedSolution], threshold: Threshold) -> Array:
    """P x 4S: the four counts of each of S subsets beside each other."""
    names = _subsets(solutions)
    rows = (
        (s.problem, _placed(_row(s, threshold.value), names.index(s.subset), len(names)))
        for s in solutions
    )
    return summed(rows, 4 * len(names))


def _right_interval(solution: JudgedSolution) -> tuple[float, float] | None:
    """(low, high]: the thresholds at which the solution is judged rightly; `None` if at none."""
    if not solution.is_scored:
        return None
    error = solution.first_error
    low = -inf if error is None else solution.scores[error]
    high = min(solution.scores[:error], default=inf)
    return (low, high) if low < high else None


def _row(solution: JudgedSolution, threshold: float) -> list[float]:
    """Erroneous, named exactly, correct, passed."""
    right = is_right(solution, threshold)
    has_error = solution.first_error is not None
    return [has_error, has_error and right, not has_error, not has_error and right]


def _sums(solutions: Sequence[JudgedSolution], threshold: Threshold) -> Array:
    return summed(((s.problem, _row(s, threshold.value)) for s in solutions), 4)


def _placed(row: list[float], place: int, num_places: int) -> list[float]:
    return [*[0.0] * 4 * place, *row, *[0.0] * 4 * (num_places - place - 1)]


def _f1(sums: Array) -> Array:
    return harmonic_mean(share(sums[..., 1], sums[..., 0]), share(sums[..., 3], sums[..., 2]))


def _mean_f1(places: Sequence[int]) -> Statistic:
    def statistic(sums: Array) -> Array:
        return np.asarray(np.mean([_f1(sums[..., 4 * i : 4 * i + 4]) for i in places], axis=0))

    return statistic


def _subset_score(name: str, sums: Array) -> SubsetScore:
    total = sums.sum(axis=0)
    num_erroneous, num_correct = int(total[0]), int(total[2])
    return SubsetScore(
        subset=name,
        accuracy_erroneous=estimate(sums, lambda s: share(s[..., 1], s[..., 0]), num=num_erroneous),
        accuracy_correct=estimate(sums, lambda s: share(s[..., 3], s[..., 2]), num=num_correct),
        f1=estimate(sums, _f1, num=num_erroneous + num_correct),
    )
