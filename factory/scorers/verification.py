"""From sampled verifications to scores: what one says of every step, and the mean of several.

GenPRM (arXiv 2504.00891, section 3.4): the reward of a step is P(Yes) at its judgement, and Maj@N
the mean over N sampled verifications.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """One sampled text: P(good) of the steps it judges, from the first on."""

    scores: tuple[float, ...] = ()
    """Ends where the verification ended: with the first step it calls bad, or the last step."""
    reason: str | None = None
    """Why it says nothing that can be used, in few fixed words. There are no scores then."""

    def __post_init__(self) -> None:
        if (self.reason is None) != bool(self.scores):
            raise ValueError(f"{len(self.scores)} scores with reason {self.reason!r}")


def p_good(log_good: float, log_bad: float) -> float:
    """P(good) / (P(good) + P(bad)) from log-probabilities; a half where neither is possible."""
    if log_good == log_bad:
        return 0.5
    difference = log_bad - log_good
    return 1 / (1 + exp(difference)) if difference < 700 else 0.0


def averaged(verifications: Sequence[Verification], num_steps: int) -> list[float]:
    """The mean over the readable verifications; NaN for every step where there is none.

    A verification goes no further than the first step that it calls bad: to it all that follows
    stands on an error, and has that step's score.
    """
    usable = [v.scores[:num_steps] for v in verifications if v.reason is None]
    if not usable:
        return [nan] * num_steps
    full = [(*scores, *[scores[-1]] * (num_steps - len(scores))) for scores in usable]
    return [sum(column) / len(usable) for column in zip(*full, strict=True)]
