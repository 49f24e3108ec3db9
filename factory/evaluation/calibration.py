"""Scores as probabilities: do they rank good steps above bad ones, and do they mean what they say?

AUC is the chance that a good step scores above a bad one, ties counting a half. ECE is the mean
distance between score and share of good steps over ten bins of equal width, weighted by their
steps. It is a mean of absolute values, so noise adds to it: N steps of a calibrated PRM have more
than 0, and a resample of them more again. Its interval is therefore that of the resamples, shifted
so that their mean is the value. Brier is the mean squared distance to the label. `reliability` is
what a diagram shows.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from factory.evaluation.resampling import (
    Array,
    Estimate,
    estimate,
    resampled,
    resamples,
    share,
    with_interval,
)

Places = NDArray[np.int64]
NUM_BINS = 10
_TP, _FP, _FN, _TN, _SQUARES = range(5)
_BINS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledStep:
    """A step with a score in [0, 1] and a label."""

    problem: Hashable
    """What is resampled."""
    score: float
    is_good: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Steps whose scores lie in [low, high), the last bin with its end."""

    low: float
    high: float
    num_steps: int
    mean_score: float | None
    share_good: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepScore:
    """Agreement, ranking and calibration of scores with labels; undefined ones have no value."""

    num_steps: int
    num_good: int
    threshold: float
    agreement: Estimate
    """Steps on the same side of the threshold as their label."""
    balanced_accuracy: Estimate
    """Mean of the agreement on good and on bad steps."""
    auc: Estimate
    ece: Estimate
    brier: Estimate
    reliability: tuple[Bin, ...]


def score_steps(steps: Sequence[LabelledStep], threshold: float = 0.5) -> StepScore:
    """All of it; a score equal to the threshold is good. With one class only there is no AUC."""
    scores_S = np.array([s.score for s in steps], dtype=np.float64)
    good_S = np.array([s.is_good for s in steps], dtype=np.float64)
    places: dict[Hashable, int] = {}
    problem_S = np.array([places.setdefault(s.problem, len(places)) for s in steps], dtype=np.int64)
    sums = _sums(scores_S, good_S, problem_S, len(places), threshold)
    num = len(steps)
    return StepScore(
        num_steps=num,
        num_good=int(good_S.sum()),
        threshold=threshold,
        agreement=estimate(sums, _agreement, num=num),
        balanced_accuracy=estimate(sums, _balanced, num=num),
        auc=_auc_estimate(scores_S, good_S, problem_S, len(places)),
        ece=_ece_estimate(sums, num=num),
        brier=estimate(sums, lambda s: share(s[..., _SQUARES], _num(s)), num=num),
        reliability=_reliability(sums.sum(axis=0)),
    )


def auc(scores_S: Array, good_S: Array, weights_S: Array) -> float:
    """Weighted AUC by ranks; NaN where one class has no weight."""
    _, level_S = np.unique(scores_S, return_inverse=True)
    return _auc_of_levels(level_S, good_S, weights_S)


def _auc_of_levels(level_S: Places, good_S: Array, weights_S: Array) -> float:
    """The same, of scores as ranks from 0 without gaps."""
    good = np.bincount(level_S, weights_S * good_S)
    bad = np.bincount(level_S, weights_S) - good
    pairs = good.sum() * bad.sum()
    if not pairs:
        return float("nan")
    below = np.cumsum(bad) - bad
    return float((good * (below + bad / 2)).sum() / pairs)


def _auc_estimate(scores_S: Array, good_S: Array, problem_S: Places, num_problems: int) -> Estimate:
    num = len(scores_S)
    value = auc(scores_S, good_S, np.ones(num)) if num else float("nan")
    if np.isnan(value):
        return Estimate(value=None, low=None, high=None, num=num)
    if num_problems == 1:
        return Estimate(value=value, low=None, high=None, num=num)
    _, level_S = np.unique(scores_S, return_inverse=True)
    drawn = [
        _auc_of_levels(level_S, good_S, weights[problem_S])
        for some in resamples(num_problems)
        for weights in some
    ]
    return with_interval(value, np.array(drawn), num=num)


def _sums(
    scores_S: Array, good_S: Array, problem_S: Places, num_problems: int, threshold: float
) -> Array:
    """P x (5 + 3 * bins): confusion, squared distances, then steps, scores and good ones by bin."""
    called = scores_S >= threshold
    columns = [
        called * good_S,
        called * (1 - good_S),
        ~called * good_S,
        ~called * (1 - good_S),
        (scores_S - good_S) ** 2,
    ]
    bin_S = np.clip((scores_S * NUM_BINS).astype(np.int64), 0, NUM_BINS - 1)
    for values in (np.ones_like(scores_S), scores_S, good_S):
        columns += [values * (bin_S == i) for i in range(NUM_BINS)]
    out = np.zeros((num_problems, len(columns)))
    for i, column in enumerate(columns):
        out[:, i] = np.bincount(problem_S, column, minlength=num_problems)
    return out


def _num(sums: Array) -> Array:
    return np.asarray(sums[..., _TP : _TN + 1].sum(axis=-1))


def _agreement(sums: Array) -> Array:
    return share(sums[..., _TP] + sums[..., _TN], _num(sums))


def _balanced(sums: Array) -> Array:
    good = share(sums[..., _TP], sums[..., _TP] + sums[..., _FN])
    bad = share(sums[..., _TN], sums[..., _TN] + sums[..., _FP])
    return (good + bad) / 2


def _ece(sums: Array) -> Array:
    bins = sums[..., _BINS:].reshape(*sums.shape[:-1], 3, NUM_BINS)
    gaps = np.abs(bins[..., 1, :] - bins[..., 2, :]).sum(axis=-1)
    return share(gaps, _num(sums))


def _ece_estimate(sums: Array, *, num: int) -> Estimate:
    found = estimate(sums, _ece, num=num)
    if found.value is None or found.low is None:
        return found
    drawn = resampled(sums, _ece)
    centred = drawn - np.nanmean(drawn) + found.value
    return with_interval(found.value, np.maximum(centred, 0.0), num=num)


def _reliability(total: Array) -> tuple[Bin, ...]:
    counts, scores, good = total[_BINS:].reshape(3, NUM_BINS)
    return tuple(
        Bin(
            low=i / NUM_BINS,
            high=(i + 1) / NUM_BINS,
            num_steps=int(counts[i]),
            mean_score=float(scores[i] / counts[i]) if counts[i] else None,
            share_good=float(good[i] / counts[i]) if counts[i] else None,
        )
        for i in range(NUM_BINS)
    )
