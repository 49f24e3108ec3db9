"""What a worker runs: an async function from a problem group to the same group, further on."""

from collections.abc import Sequence
from typing import Any, Protocol

from schemas.records import ProblemGroup, Verdict
from workers.admission import Admission


class AnswerGrader(Protocol):
    """Says of answers whether they are the reference answer."""

    async def grade(self, gold: str, answers: Sequence[str | None]) -> list[Verdict]:
        """One verdict per answer, in their order; it never raises for what an answer says."""
        ...


class Program(Protocol):
    """A stage's work on one group. Must be picklable; keeps no state between groups.

    `tool` is what the stage's workers open beside the engine: a grader, or a sandbox.
    """

    async def __call__(self, group: ProblemGroup, engine: Admission, tool: Any, /) -> ProblemGroup:
        """The group with this stage's findings; any exception fails this group alone."""
        ...
