"""What the counts on both sides of a step prove without any prior, whenever the sampling stopped.

An e-value is the likelihood of the counts under a mixture of all values over the largest
likelihood that a null hypothesis reaches. Its mean is at most 1 under the null, whatever rule chose
the prefixes and the time to stop, so it passes 1 / alpha with probability alpha at most (Ville).
The mixture is Beta(1/2, 1/2) for each prefix (Krichevsky and Trofimov). Binomial coefficients
cancel and are left out: every likelihood is that of a sequence of outcomes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, lgamma, log, log1p, sqrt

from scipy.optimize import brentq

from factory.core.chain import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProof:
    """Natural logarithms of two e-values for one step; 0 and below is no evidence."""

    log_e_good: float
    """Against "bad": the value after the step is below `threshold` of the one before it."""
    log_e_bad: float
    """Against "good": it is at least that much."""

    def label(self, alpha: float) -> bool | None:
        """The label that is proven at this level; `None` when neither is."""
        if self.log_e_good >= -log(alpha):
            return True
        return False if self.log_e_bad >= -log(alpha) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Both ends belong to it. `high` is infinite where nothing bounds a ratio from above."""

    low: float
    high: float


@lru_cache(maxsize=1 << 16)
def prove(before: Counts, after: Counts, threshold: float = 0.8) -> StepProof:
    """The e-values of a step from the counts at the prefixes before and after it.

    Without rollouts at one of them neither exceeds 1. Neither does the one against "good" while
    nothing was right at both: two zeros keep every ratio. The part of "bad" with a value of
    exactly 0 needs no term of its own: one right answer refutes it, and without one it lies on the
    rim of the rest.
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0, not {threshold}")
    mixture = _log_mixture(before) + _log_mixture(after)
    best = _log_best(before) + _log_best(after)
    rim = _log_best_with_ratio(before, after)(threshold)
    # Exact in whole numbers times the threshold; without rollouts on one side both sides hold.
    left, right = after.num_correct * before.num_rollouts, before.num_correct * after.num_rollouts
    return StepProof(
        log_e_good=mixture - (best if left <= threshold * right else rim),
        log_e_bad=mixture - (best if left >= threshold * right else rim),
    )


def value_interval(counts: Counts, coverage: float = 0.9) -> Interval:
    """A confidence sequence for a prefix's value: it covers at all times at once.

    All values that the mixture does not beat by 1 / (1 - coverage); [0, 1] without rollouts.
    """
    level = _log_mixture(counts) + log(1 - coverage)
    share = counts.mc_score if counts.mc_score is not None else 0.5
    right, wrong = _right_and_wrong(counts)

    def spare(value: float) -> float:
        return _log_likelihood(right, wrong, value) - level

    return Interval(
        low=brentq(spare, _TINY, share, xtol=1e-6) if right and spare(_TINY) < 0 else 0.0,
        high=brentq(spare, share, 1 - _TINY, xtol=1e-6)
        if share < 1 and spare(1 - _TINY) < 0
        else 1.0,
    )


@lru_cache(maxsize=1 << 16)
def progress_interval(before: Counts, after: Counts, coverage: float = 0.9) -> Interval:
    """A confidence sequence for the ratio of the values after and before a step.

    All ratios that neither e-value of `prove` refutes. Both set the same mixture over likelihoods
    no smaller than the truth's, so they miss together, and the error is not split between them.
    Nothing is known without rollouts on both sides, no low end without a right answer after the
    step, no high end without one before it.
    """
    if not before.num_rollouts or not after.num_rollouts:
        return Interval(low=0.0, high=inf)
    level = _log_mixture(before) + _log_mixture(after) + log(1 - coverage)
    best = _log_best_with_ratio(before, after)

    def spare(log_ratio: float) -> float:
        return best(exp(log_ratio)) - level

    start = 0.0
    if before.num_correct and after.num_correct:
        start = log(after.num_correct * before.num_rollouts)
        start -= log(before.num_correct * after.num_rollouts)
    return Interval(
        low=exp(_crossing(spare, start, -1)) if after.num_correct else 0.0,
        high=exp(_crossing(spare, start, 1)) if before.num_correct else inf,
    )


_TINY = 1e-12


def _log_mixture(counts: Counts) -> float:
    right, wrong = _right_and_wrong(counts)
    return lgamma(right + 0.5) + lgamma(wrong + 0.5) - lgamma(right + wrong + 1) - 2 * lgamma(0.5)


def _log_best(counts: Counts) -> float:
    return _log_likelihood(*_right_and_wrong(counts), counts.mc_score or 0.0)


def _log_likelihood(right: int, wrong: int, value: float) -> float:
    if (right and value <= 0) or (wrong and value >= 1):
        return -inf
    return (right * log(value) if right else 0.0) + (wrong * log1p(-value) if wrong else 0.0)


def _log_best_with_ratio(before: Counts, after: Counts) -> Callable[[float], float]:
    """By ratio, the largest likelihood with the value after the step that many times the one
    before it, x.

    Its derivative vanishes where ratio n x^2 - (s (1 + ratio) + f_0 + ratio f_1) x + s = 0, with s
    right ones in all n rollouts and f_0, f_1 wrong ones before and after. The smaller root is the
    one with both values in [0, 1].
    """
    (s_0, f_0), (s_1, f_1) = _right_and_wrong(before), _right_and_wrong(after)
    s, n = s_0 + s_1, s_0 + s_1 + f_0 + f_1

    def best(ratio: float) -> float:
        half = (s * (1 + ratio) + f_0 + ratio * f_1) / 2
        root = half + sqrt(max(0.0, half * half - ratio * n * s))
        x = s / root if root else 0.0
        return _log_likelihood(s_0, f_0, min(1.0, x)) + _log_likelihood(
            s_1, f_1, min(1.0, ratio * x)
        )

    return best


def _right_and_wrong(counts: Counts) -> tuple[int, int]:
    return counts.num_correct, counts.num_rollouts - counts.num_correct


def _crossing(spare: Callable[[float], float], start: float, step: float) -> float:
    """Where `spare` falls to 0 on the way from `start`, up or down; it is monotone on that side.

    Without a right answer on one side it rises all the way to the other, and `start` may lie
    beyond the crossing.
    """
    inside, outside = start, start + step
    while spare(inside) < 0:
        inside, outside, step = inside - step, inside, 2 * step
    while spare(outside) > 0:
        inside, outside, step = outside, outside + step, 2 * step
    return float(brentq(spare, inside, outside, xtol=1e-6))
