"""How right labels are: against the oracle, and against what very many rollouts say.

Everything is a ratio of sums over problems, so a resample of problems is a row of weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from factory.bench.bank import BankSolution
from factory.bench.replay import Replayed
from factory.core.first_error import score_first_errors

Truth = Callable[[BankSolution], list[bool]]
Array = NDArray[np.float64]

NUM_RESAMPLES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """One policy on one set of solutions, or arrays of one entry per resample of its problems."""

    tokens: float
    """Generated tokens per solution."""
    rollouts: float
    rounds: float
    line_accuracy: float
    """Steps whose label, closed under prefixes, says whether the oracle calls the prefix alive."""
    false_good: float
    """Share of dead prefixes called good."""
    false_bad: float
    """Share of living prefixes called bad."""
    first_error_f1: float


def closed(replayed: Replayed) -> list[bool]:
    """Labels made prefix-closed: good while nothing before was bad."""
    return list(accumulate((bool(s.label) for s in replayed.labels), lambda a, b: a and b))


def sums(replays: Sequence[Replayed], truth: Truth | None = None) -> Array:
    """P x 12: what scores are made of, one row per problem in the order they come up.

    Labels are compared with the oracle, or with another truth of the inner steps.
    """
    by_problem: dict[str, Array] = {}
    for replayed in replays:
        row = _row(replayed, truth)
        key = replayed.solution.problem_id
        by_problem[key] = by_problem[key] + row if key in by_problem else row
    return np.array(list(by_problem.values()))


def _row(replayed: Replayed, truth: Truth | None) -> Array:
    solution = replayed.solution
    if truth is None:
        pairs = list(zip(closed(replayed), solution.is_alive, strict=True))
    else:
        inner = [bool(step.label) for step in replayed.labels[:-1]]
        pairs = list(zip(inner, truth(solution), strict=True))
    first = score_first_errors([(replayed.first_error, solution.first_error)])
    return np.array(
        [
            1,
            replayed.num_tokens,
            replayed.num_rollouts,
            replayed.num_rounds,
            sum(is_good for _, is_good in pairs),
            sum(not label for label, is_good in pairs if is_good),
            sum(not is_good for _, is_good in pairs),
            sum(label for label, is_good in pairs if not is_good),
            first.num_erroneous,
            first.num_found,
            first.num_correct,
            first.num_passed,
        ],
        float,
    )


def score(sums_P12: Array) -> Scores:
    """Scores of all problems together; with more axes in front, one score for each."""
    total = np.moveaxis(sums_P12.sum(axis=-2), -1, 0)
    solutions, tokens, rollouts, rounds, good, missed, bad, passed, *firsts = total
    found, cleared = (_share(firsts[1], firsts[0]), _share(firsts[3], firsts[2]))
    return Scores(
        tokens=tokens / solutions,
        rollouts=rollouts / solutions,
        rounds=rounds / solutions,
        line_accuracy=1 - (missed + passed) / (good + bad),
        false_good=_share(passed, bad),
        false_bad=_share(missed, good),
        first_error_f1=_share(2 * found * cleared, found + cleared),
    )


def resampled(sums_P12: Array) -> Scores:
    """Arrays of scores, one per resample of the problems. The same resamples for every policy."""
    num = len(sums_P12)
    weights = np.random.default_rng(0).multinomial(num, [1 / num] * num, size=NUM_RESAMPLES)
    return score(weights[:, :, None] * sums_P12)


def interval(values: Array) -> list[float]:
    """95 %, by percentiles."""
    low, high = np.nanquantile(values, (0.025, 0.975))
    return [float(low), float(high)]


def as_row(name: str, sums_P12: Array) -> dict[str, object]:
    """A policy's scores with their intervals, JSON-ready."""
    found, drawn = score(sums_P12), resampled(sums_P12)
    row: dict[str, object] = {"policy": name}
    row |= {f.name: float(getattr(found, f.name)) for f in fields(Scores)}
    row |= {
        f"{name}_interval": interval(np.asarray(getattr(drawn, name)))
        for name in ("tokens", "line_accuracy", "first_error_f1")
    }
    return row


def _share(part: Array, whole: Array) -> Array:
    """0 of nothing is 0, as the reference code of ProcessBench would need it."""
    share: Array = np.divide(part, whole, out=np.zeros_like(part, dtype=float), where=whole > 0)
    return share


def progress_truth(solution: BankSolution) -> list[bool]:
    """Relative progress of at least 0.8 at the shares of all rollouts in the bank.

    Zero shares count as dead. The bare problem's value is its pass rate over its samples.
    """
    values = [solution.root.mc_score or 0.0]
    values += [p.counts(len(p.is_right)).mc_score or 0.0 for p in solution.prefixes]
    alive = list(accumulate((v > 0 for v in values[1:]), lambda a, b: a and b))
    return [
        is_alive and after >= 0.8 * before
        for before, after, is_alive in zip(values[:-1], values[1:], alive, strict=True)
    ]
