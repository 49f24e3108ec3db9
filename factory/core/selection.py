"""Which problems are worth estimating, and which of their solutions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

from factory.core.chain import outcome
from schemas.generation import FinishReason
from schemas.records import ProblemGroup, Solution, Status

NO_CORRECT = "no correct solution sampled"
NO_WRONG = "no wrong solution sampled"
NO_SOLUTION = "no complete solution"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is kept of the samples of one problem.

    Truncated solutions are never estimated, their last step is cut, and count for nothing here. Of
    the others a problem needs `min_correct` right and `min_wrong` wrong samples, or it is dropped
    with that reason. Of its distinct solutions at most `max_solutions` are estimated, right and
    wrong ones in turn, each kind in the order it was sampled. Those that the grader could not
    decide come last.
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
        complete = [s for s in group.solutions if s.finish_reason in (None, FinishReason.STOP)]
        if reason := self._drop_reason(complete):
            return replace(group, status=Status.DROPPED, reason=reason, solutions=())
        return replace(group, solutions=self.chosen(complete))

    def chosen(self, solutions: Sequence[Solution]) -> tuple[Solution, ...]:
        """At most `max_solutions` of these, right and wrong in turn."""
        return _in_turn(solutions)[: self.max_solutions]

    def _drop_reason(self, complete: Sequence[Solution]) -> str | None:
        if not complete:
            return NO_SOLUTION
        num_samples: Counter[bool | None] = Counter()
        for solution in complete:
            num_samples[outcome(solution.verdict)] += solution.num_samples
        if num_samples[True] < self.min_correct:
            return NO_CORRECT
        return NO_WRONG if num_samples[False] < self.min_wrong else None


def _in_turn(solutions: Sequence[Solution]) -> tuple[Solution, ...]:
    kinds: dict[bool | None, list[Solution]] = {True: [], False: [], None: []}
    for solution in solutions:
        kinds[outcome(solution.verdict)].append(solution)
    pairs = chain.from_iterable(zip_longest(kinds[True], kinds[False]))
    return (*(s for s in pairs if s is not None), *kinds[None])
