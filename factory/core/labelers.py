"""Labels as pure functions of the counts: hard estimation and relative progress.

A label is good (True), bad (False) or none (None): no evidence, masked in training.
"""

from dataclasses import dataclass
from typing import Protocol

from factory.core.chain import Chain


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLabel:
    """What the counts say of one step."""

    label: bool | None
    mc_score: float | None
    """Share of right answers after the step: the soft label (Math-Shepherd's SE)."""
    progress: float | None
    """MC score after the step over the one before it; `None` where that is undefined."""


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
        scores = chain.mc_scores
        return tuple(
            StepLabel(
                label=None if score is None else score > self.above,
                mc_score=score,
                progress=ratio,
            )
            for score, ratio in zip(scores, _progress(chain.root.mc_score, scores), strict=True)
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
    - Without rollouts at a prefix, the steps on both sides of it have no label.
    - A root of 0 (or without rollouts) leaves the first step without a label: there is nothing to
      compare with. If that step's score is 0 too, the steps after it have none either until a
      score rises above 0.
    """

    threshold: float = 0.8

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise ValueError(f"threshold must be above 0, not {self.threshold}")

    def __call__(self, chain: Chain) -> tuple[StepLabel, ...]:
        scores = _zero_after_death(chain.root.mc_score, chain.mc_scores)
        labels: list[StepLabel] = []
        has_been_alive = bool(chain.root.mc_score)
        is_dead = False
        for score, ratio in zip(scores, _progress(chain.root.mc_score, scores), strict=True):
            is_dead = is_dead or (has_been_alive and score == 0)
            has_been_alive = has_been_alive or bool(score)
            label = False if is_dead else None if ratio is None else ratio >= self.threshold
            labels.append(StepLabel(label=label, mc_score=score, progress=ratio))
        return tuple(labels)


def first_error(labels: tuple[StepLabel, ...]) -> int | None:
    """Index of the first bad step, 0-based; `None` when no step is bad."""
    return next((i for i, step in enumerate(labels) if step.label is False), None)


def _progress(root: float | None, scores: tuple[float | None, ...]) -> tuple[float | None, ...]:
    """Score over the score before it; `None` where one is missing or the one before is 0."""
    before = (root, *scores[:-1])
    return tuple(
        None if after is None or not prior else after / prior
        for prior, after in zip(before, scores, strict=True)
    )


def _zero_after_death(
    root: float | None, scores: tuple[float | None, ...]
) -> tuple[float | None, ...]:
    """The scores with everything after the first 0 of a living chain set to 0."""
    has_been_alive = bool(root)
    for i, score in enumerate(scores):
        if score == 0 and has_been_alive:
            return scores[:i] + (0.0,) * (len(scores) - i)
        has_been_alive = has_been_alive or bool(score)
    return scores
