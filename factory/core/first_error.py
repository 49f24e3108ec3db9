"""First-error accuracy as ProcessBench counts it (arXiv 2412.06559, section 3.3)."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstErrorScore:
    """Accuracy on solutions with and without an error; `None` where there are none of a kind."""

    num_erroneous: int
    num_found: int
    """Erroneous solutions whose first bad step was named exactly."""
    num_correct: int
    num_passed: int
    """Correct solutions in which no step was called bad."""

    @property
    def accuracy_erroneous(self) -> float | None:
        return self.num_found / self.num_erroneous if self.num_erroneous else None

    @property
    def accuracy_correct(self) -> float | None:
        return self.num_passed / self.num_correct if self.num_correct else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of the two accuracies: 0 when both are 0, `None` when one is undefined."""
        a, b = self.accuracy_erroneous, self.accuracy_correct
        if a is None or b is None:
            return None
        return 2 * a * b / (a + b) if a + b else 0.0


def score_first_errors(pairs: Iterable[tuple[int | None, int | None]]) -> FirstErrorScore:
    """Scores (predicted, true) indices of the first error; `None` means that there is none."""
    judged = list(pairs)
    erroneous = [(guess, truth) for guess, truth in judged if truth is not None]
    correct = [guess for guess, truth in judged if truth is None]
    return FirstErrorScore(
        num_erroneous=len(erroneous),
        num_found=sum(guess == truth for guess, truth in erroneous),
        num_correct=len(correct),
        num_passed=sum(guess is None for guess in correct),
    )
