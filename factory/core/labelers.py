"""Labels as pure functions of the counts: hard estimation and relative progress.

A label is good (True), bad (False) or none (None): no evidence, masked in training.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from factory.core.chain import Chain, Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLabel:
    """What the counts say of one step."""

    label: bool | None
    mc_score: float | None
    """Share of right answers after the step: the soft label (Math-Shepherd's SE). A labeler that
    counts some scores as 0 says so."""
    progress: float | None
    """MC score after the step over the one before it; `None` where that is undefined."""
    p_good: float | None = None
    """Probability that the step is good, where the labeler has one."""
    is_decided: bool | None = None
    """Whether the label is right with at least the probability the labeler asks for."""
    value_mean: float | None = None
    """Posterior mean of the prefix's value: the soft label of a labeler with a prior."""
    value_low: float | None = None
    """Bounds of its 90 % credible interval."""
    value_high: float | None = None
    death_probability: float | None = None
    """Probability that no rollout from the prefix can ever be right."""
    progress_low: float | None = None
    """Bounds of the ratio of the values that hold at any stopping time, 90 %."""
    progress_high: float | None = None
    log_e_good: float | None = None
    """Natural logarithm of the e-value against progress below the threshold."""
    log_e_bad: float | None = None
    """The same against progress of at least the threshold."""


class Labeler(Protocol):
    """A rule from counts to labels, one per step."""

    def __call__(self, chain: Chain) -> tuple[StepLabel, ...]:
        """The labels of the chain's steps, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HardEstimation:
    """Good while the share of right answers exceeds `above`.

    Math-Shepherd's HE (arXiv 2312.08935, section 3.3) is `above = 0`: good if any rollout is
    right. A prefix without rollouts has no label.
    """

    above: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.above < 1:
            raise ValueError(f"above must lie in [0, 1), not {self.above}")

    def __call__(self, chain: Chain) -> tuple[StepLabel, ...]:
        return tuple(
            StepLabel(
                label=None if after.mc_score is None else after.mc_score > self.above,
                mc_score=after.mc_score,
                progress=_progress(before, after),
            )
            for before, after in pairwise((chain.root, *chain.scored))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RelativeProgress:
    """Good when the MC score after a step is at least `threshold` of the one before it.

    GenPRM's RPE (arXiv 2504.00891, eq. 10 and 11; threshold 0.8). What the paper leaves open is
    decided here:

    - From the first step with an MC score of 0 on, every score counts as 0 and every label is bad
      (the sentence after eq. 10, read to include the step itself).
    - A later step may be good again after a bad one whose MC score was above 0 (eq. 11 alone).
    - Progress above 1 is good, and reported as it is.
    - Without rollouts at a prefix, the steps on both sides of it have no label, save those that
      the first point makes bad.
    - A root of 0 (or without rollouts) leaves the first step without a label: there is nothing to
      compare with. If that step's score is 0 too, the steps after it have none either, up to and
      with the one that first raises the score above 0.
    """

    threshold: float = 0.8

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise ValueError(f"threshold must be above 0, not {self.threshold}")

    def __call__(self, chain: Chain) -> tuple[StepLabel, ...]:
        is_alive, is_dead = chain.root.num_correct > 0, False
        labels: list[StepLabel] = []
        for before, after in pairwise((chain.root, *chain.scored)):
            progress = None if is_dead else _progress(before, after)
            is_dead = is_dead or (is_alive and after.mc_score == 0)
            is_alive = is_alive or after.num_correct > 0
            label = None if progress is None else progress >= self.threshold
            labels.append(
                StepLabel(
                    label=False if is_dead else label,
                    mc_score=0.0 if is_dead else after.mc_score,
                    progress=progress,
                )
            )
        return tuple(labels)


def first_error(labels: tuple[StepLabel, ...]) -> int | None:
    """Index of the first bad step, 0-based; `None` when no step is bad."""
    return next((i for i, step in enumerate(labels) if step.label is False), None)


def _progress(before: Counts, after: Counts) -> float | None:
    """MC score over MC score; `None` where one is missing or the one before is 0.

    One division of whole numbers: 4 of 25 over 6 of 30 is 0.8 and not a little less.
    """
    if not before.num_correct or not after.num_rollouts:
        return None
    return (after.num_correct * before.num_rollouts) / (after.num_rollouts * before.num_correct)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenLabels:
    """The labels that came with the problem, as people or another system made them.

    A step without one has no label; so have all steps of a solution that came without.
    """

    def __call__(self, chain: Chain) -> tuple[StepLabel, ...]:
        given = chain.given or (None,) * len(chain.steps)
        return tuple(
            StepLabel(label=label, mc_score=score, progress=None)
            for label, score in zip(given, chain.mc_scores, strict=True)
        )
