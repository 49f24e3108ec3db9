"""Several programs on one engine, one after the other for each group."""

from dataclasses import dataclass
from typing import Any

from schemas.records import ProblemGroup, Status
from workers.admission import Admission
from workers.program import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class InTurn:
    """Where one model samples and completes: no engine is started twice, and none waits for the
    last group to be sampled before the first is estimated. A group that is dropped or fails goes
    no further."""

    programs: tuple[Program, ...]

    async def __call__(self, group: ProblemGroup, engine: Admission, tool: Any) -> ProblemGroup:
        for program in self.programs:
            group = await program(group, engine, tool)
            if group.status is not Status.OK:
                break
        return group
