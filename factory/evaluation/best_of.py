"""Best-of-N: how often the solution, or the answer, that a PRM prefers is right.

A solution's score is that of its last step, its lowest, their product or their mean (the four of
arXiv 2501.07301 and 2504.00891). `prm-*` takes the solution of highest score; `vote-*` the answer
whose solutions' scores add up to most (arXiv 2312.08935, section 3.4, sc + rm); `majority` the
answer that occurs most often. A tie is not broken: each of the T tied choices counts 1 / T.
`pass@1` is a solution drawn at random, `pass@N` the oracle that finds any right one.

A solution without an answer votes for nothing; where nobody votes the vote is wrong (so has OpenR's
evaluation it, while GenPRM's counts a missing answer as one more answer). Such a solution can still
be the one of highest score, and is right or wrong by its verdict. A solution without a score is
never of highest score and has no weight; where no solution has one, `prm-*` and `vote-*` are wrong.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, inf, isnan, prod

import numpy as np

from factory.evaluation.resampling import Array, Estimate, estimate, resampled

AGGREGATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "last": lambda scores: scores[-1],
    "min": min,
    "product": prod,
    "mean": lambda scores: sum(scores) / len(scores),
}
PASS_1, MAJORITY, ORACLE = "pass@1", "majority", "pass@N"
CURVE_DRAWS = 3_000
TOLERANCE = 1e-9
"""Of the best score: what differs by less is tied, its order would be that of rounding errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """One of a problem's N solutions."""

    answer: Hashable | None
    """The class of its answer: equal answers vote together. `None` where it has none."""
    is_correct: bool
    scores: tuple[float, ...]
    """One per step; NaN where the model gave none: then no method of its prefers the solution."""

    @property
    def is_scored(self) -> bool:
        return not any(isnan(score) for score in self.scores)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodScore:
    """A method's accuracy over problems, and how much more than the majority's that is."""

    method: str
    accuracy: Estimate
    gain: Estimate | None
    """Against the majority vote on the same problems; `None` for the vote itself."""


def aggregate(name: str, scores: Sequence[float]) -> float:
    """A solution's score; -inf where a step has none."""
    return -inf if any(isnan(score) for score in scores) else AGGREGATIONS[name](scores)


def expected_accuracy(values: Sequence[float], correct: Sequence[float]) -> float:
    """Of the choices of highest value, how many are right: the expectation over ties.

    0 without a choice; a value of -inf is none.
    """
    best = max(values, default=-inf)
    if best == -inf:
        return 0.0
    edge = best - TOLERANCE * abs(best)
    tied = [c for v, c in zip(values, correct, strict=True) if v >= edge]
    return sum(tied) / len(tied)


def vote_accuracy(solutions: Sequence[Sampled], weights: Sequence[float]) -> float:
    """The accuracy of the answer with most weight; a weight of -inf is no vote. 0 without votes.

    Where a grader calls only some solutions of an answer right, so many of it count.
    """
    votes: dict[Hashable, float] = {}
    correct: dict[Hashable, list[bool]] = {}
    for solution, weight in zip(solutions, weights, strict=True):
        if solution.answer is None:
            continue
        correct.setdefault(solution.answer, []).append(solution.is_correct)
        known = votes.setdefault(solution.answer, -inf)
        votes[solution.answer] = weight if known == -inf else known + max(weight, 0.0)
    shares = [sum(found) / len(found) for found in correct.values()]
    return expected_accuracy(list(votes.values()), shares)


def accuracies(solutions: Sequence[Sampled]) -> dict[str, float]:
    """What every method makes of one problem. Needs a solution."""
    correct = [float(s.is_correct) for s in solutions]
    found = {
        PASS_1: sum(correct) / len(correct),
        MAJORITY: vote_accuracy(solutions, [1.0] * len(solutions)),
        ORACLE: max(correct),
    }
    for name in AGGREGATIONS:
        values = [aggregate(name, s.scores) for s in solutions]
        found[f"prm-{name}"] = expected_accuracy(values, correct)
        found[f"vote-{name}"] = vote_accuracy(solutions, values)
    return found


def score_best_of(problems: Sequence[Sequence[Sampled]]) -> tuple[MethodScore, ...]:
    """Every method over all problems, with intervals over problems."""
    names, sums = _names(), _sums(problems)
    return tuple(
        MethodScore(
            method=name,
            accuracy=estimate(sums, _mean_of(i), num=len(sums)),
            gain=None
            if name == MAJORITY
            else estimate(sums, _gain(i, names.index(MAJORITY)), num=len(sums)),
        )
        for i, name in enumerate(names)
    )


def resampled_accuracies(problems: Sequence[Sequence[Sampled]]) -> dict[str, Array]:
    """By method, its accuracy in every resample of the problems; those of two models that scored
    the same solutions are paired."""
    sums = _sums(problems)
    return {name: resampled(sums, _mean_of(i)) for i, name in enumerate(_names())}


def _sums(problems: Sequence[Sequence[Sampled]]) -> Array:
    """P x (methods + 1): accuracies, and one more for each problem."""
    rows = [accuracies(solutions) for solutions in problems]
    names = _names()
    table = np.array([[row[name] for name in names] for row in rows], dtype=np.float64)
    return np.column_stack([table.reshape(len(rows), len(names)), np.ones(len(rows))])


def curve(problems: Sequence[Sequence[Sampled]], sizes: Sequence[int]) -> dict[str, list[float]]:
    """Accuracy of every method with n solutions, by sizes.

    Each is a mean over choices of n of every problem's solutions, always the same: all there are,
    or up to 20 random ones a problem, fewer where there are many problems. `pass@1` is exact.
    Problems with fewer solutions are left out of that size, and a size that no problem has is NaN.
    """
    num_draws = min(20, max(1, CURVE_DRAWS // max(1, len(problems))))
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {name: [] for name in _names()}
    for size in sizes:
        rows = []
        for solutions in problems:
            if len(solutions) < size:
                continue
            drawn = [
                accuracies([solutions[i] for i in places])
                for places in _choices(len(solutions), size, num_draws, rng)
            ]
            row = {name: sum(d[name] for d in drawn) / len(drawn) for name in found}
            row[PASS_1] = sum(s.is_correct for s in solutions) / len(solutions)
            rows.append(row)
        for name in found:
            found[name].append(float(np.mean([r[name] for r in rows])) if rows else float("nan"))
    return found


def _choices(
    num: int, size: int, num_draws: int, rng: np.random.Generator
) -> Iterable[Sequence[int]]:
    if comb(num, size) <= num_draws:
        return combinations(range(num), size)
    return [rng.permutation(num)[:size].tolist() for _ in range(num_draws)]


def _names() -> list[str]:
    kinds = [f"{kind}-{name}" for kind in ("prm", "vote") for name in AGGREGATIONS]
    return [PASS_1, MAJORITY, *kinds, ORACLE]


def _mean_of(column: int) -> Callable[[Array], Array]:
    return lambda sums: sums[..., column] / sums[..., -1]


def _gain(column: int, against: int) -> Callable[[Array], Array]:
    return lambda sums: (sums[..., column] - sums[..., against]) / sums[..., -1]
