"""A number with its 95 % interval: whole problems are drawn again, with all that belongs to them.

Every statistic here is a function of sums over problems, so a resample is a row of weights. Two
statistics of the same problems see the same resamples: their difference is a paired one.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""... x K sums to ... values; NaN where it is not defined."""

NUM_RESAMPLES = 1_000
LEVEL = 0.95
_ENTRIES_TOGETHER = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value and its percentile interval; all three `None` where nothing defines them."""

    value: float | None
    low: float | None
    high: float | None
    num: int
    """What it was counted from: solutions, problems or steps."""


def estimate(sums_PK: Array, statistic: Statistic, *, num: int) -> Estimate:
    """The statistic of all P problems, with its interval over resamples of them.

    Resamples in which it is not defined are left out. One problem gives no interval.
    """
    num_problems = len(sums_PK)
    if not num_problems:
        return Estimate(value=None, low=None, high=None, num=num)
    value = float(statistic(sums_PK.sum(axis=0)))
    if np.isnan(value):
        return Estimate(value=None, low=None, high=None, num=num)
    if num_problems == 1:
        return Estimate(value=value, low=None, high=None, num=num)
    return with_interval(value, resampled(sums_PK, statistic), num=num)


def resampled(sums_PK: Array, statistic: Statistic) -> Array:
    """The statistic in every resample of the P problems."""
    return np.concatenate([statistic(weights @ sums_PK) for weights in resamples(len(sums_PK))])


def with_interval(value: float, drawn: Array, *, num: int) -> Estimate:
    """The value with the percentiles of what its resamples gave; NaN among them are left out."""
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return Estimate(value=value, low=None, high=None, num=num)
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Estimate(value=value, low=float(low), high=float(high), num=num)


def resamples(num_problems: int, num: int = NUM_RESAMPLES) -> Iterator[Array]:
    """R x P: how often each problem was drawn, a few rows at a time; always the same."""
    if num * num_problems <= _ENTRIES_TOGETHER:
        yield _drawn_together(num_problems, num)
        return
    rng = np.random.default_rng(0)
    rows = max(1, _ENTRIES_TOGETHER // num_problems)
    shares = np.full(num_problems, 1 / num_problems)
    for start in range(0, num, rows):
        drawn = rng.multinomial(num_problems, shares, size=min(rows, num - start))
        yield drawn.astype(np.float64)


@lru_cache(maxsize=2)
def _drawn_together(num_problems: int, num: int) -> Array:
    shares = np.full(num_problems, 1 / num_problems)
    return np.random.default_rng(0).multinomial(num_problems, shares, size=num).astype(np.float64)


def summed(rows: Iterable[tuple[Hashable, Sequence[float]]], width: int) -> Array:
    """P x width: the rows of each problem added up, problems in the order they come."""
    by_problem: dict[Hashable, Array] = {}
    for problem, row in rows:
        values = np.asarray(row, dtype=np.float64)
        known = by_problem.get(problem)
        by_problem[problem] = values if known is None else known + values
    return np.array(list(by_problem.values())).reshape(len(by_problem), width)


def share(part: Array, whole: Array) -> Array:
    """part / whole; NaN where there is nothing to share."""
    out = np.full(np.broadcast_shapes(np.shape(part), np.shape(whole)), np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) > 0)
    return out


def harmonic_mean(a: Array, b: Array) -> Array:
    """2ab / (a + b): 0 where both are 0, NaN where one is not defined."""
    total = np.asarray(a + b)
    zero = np.where(np.isnan(total), np.nan, 0.0)
    out = np.array(zero, dtype=np.float64)
    np.divide(2 * a * b, total, out=out, where=total > 0)
    return out
