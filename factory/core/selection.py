"""Which problems are worth estimating, and which of their solutions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

from schemas.generation import FinishReason
from schemas.records import ProblemGroup, Solution, Status, Verdict

NO_CORRECT = "no correct solution sampled"
NO_WRONG = "no wrong solution sampled"
NO_SOLUTION = "no complete solution"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is kept of the samples of one problem.

    A problem needs `min_correct` right and `min_wrong` wrong samples, or it is dropped with that
    reason. Of its distinct solutions at most `max_solutions` are estimated, right and wrong ones
    in turn, each kind in the order it was sampled. Truncated solutions are never estimated: their
    last step is cut. Those that the grader could not decide come last.
    """

    min_correct: int = 1
    min_wrong: int = 0
    max_solutions: int | None = None

    def __post_init__(self) -> None:
        if min(self.min_correct, self.min_wrong) < 0:
            raise ValueError("min_correct and min_wrong must be at least 0")
        if self.max_solutions is not None and self.max_solutions < 1:
            raise ValueError(f"max_solutions must be at least 1, not {self.max_solutions}")

    def __call__(self, group: ProblemGroup) -> ProblemGroup:
        """The group with the solutions to estimate, or dropped with a reason."""
        if reason := self._drop_reason(group):
            return replace(group, status=Status.DROPPED, reason=reason, solutions=())
        complete = [s for s in group.solutions if s.finish_reason in (None, FinishReason.STOP)]
        if not complete:
            return replace(group, status=Status.DROPPED, reason=NO_SOLUTION, solutions=())
        return replace(group, solutions=self.chosen(complete))

    def chosen(self, solutions: Sequence[Solution]) -> tuple[Solution, ...]:
        """At most `max_solutions` of these, right and wrong in turn."""
        return _in_turn(solutions)[: self.max_solutions]

    def _drop_reason(self, group: ProblemGroup) -> str | None:
        num_correct = sum(s.num_samples for s in group.solutions if s.verdict is Verdict.CORRECT)
        num_wrong = sum(
            s.num_samples
            for s in group.solutions
            if s.verdict in (Verdict.WRONG, Verdict.NO_ANSWER)
        )
        if num_correct < self.min_correct:
            return NO_CORRECT
        return NO_WRONG if num_wrong < self.min_wrong else None


def _in_turn(solutions: Sequence[Solution]) -> tuple[Solution, ...]:
    right = [s for s in solutions if s.verdict is Verdict.CORRECT]
    wrong = [s for s in solutions if s.verdict in (Verdict.WRONG, Verdict.NO_ANSWER)]
    unknown = [s for s in solutions if not s.verdict.is_decided]
    pairs = chain.from_iterable(zip_longest(right, wrong))
    return (*(s for s in pairs if s is not None), *unknown)
