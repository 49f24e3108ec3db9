"""One interface to every process reward model: P(good) for each step of a solution."""

from factory.scorers.opening import BACKENDS, open_scorer
from factory.scorers.scorer import Scorer, SolutionText

__all__ = ["BACKENDS", "Scorer", "SolutionText", "open_scorer"]
