"""What a scorer promises: a probability for every step, or NaN and a counted reason."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Protocol

TOO_LONG = "longer than the model's context"


@dataclass(frozen=True, slots=True, kw_only=True)
class SolutionText:
    """What is scored: a problem and the steps of one solution."""

    problem: str
    steps: tuple[str, ...]
    """At least one. Whitespace around a step is not scored: published steps come without it."""

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("a solution without steps cannot be scored")


class Scorer(Protocol):
    """A process reward model, ready to score. `close` it when done."""

    unscored: Counter[str]
    """Solutions, or verifications of them, that got no score so far, by reason."""

    def score(self, problem: str, steps: Sequence[str]) -> list[float]:
        """One solution: as `score_all`."""
        ...

    def score_all(self, solutions: Sequence[SolutionText]) -> list[list[float]]:
        """For every solution P(good) of each of its steps, in [0, 1], in the order given.

        All of a solution's scores are NaN where the model cannot give any; `unscored` says why.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Model, backend and how it is read, JSON-ready, for reports."""
        ...

    def close(self) -> None:
        """Let go of the model."""
        ...


def no_scores(solution: SolutionText) -> list[float]:
    """NaN for every step."""
    return [nan] * len(solution.steps)
