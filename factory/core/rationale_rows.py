"""Kept rationales as rows for training generative models: one format for each form that has one."""

from collections.abc import Callable
from dataclasses import dataclass

from factory.core.sft import genprm_conversation, thinkprm_row
from factory.core.teachers.genprm import GenPrmForm
from factory.core.teachers.thinkprm import ThinkPrmForm
from factory.core.teaching import JudgedRationale
from schemas.generation import Message
from schemas.published import PublishedChain, PublishedConversation
from schemas.records import ProblemGroup

RationaleRow = PublishedConversation | PublishedChain


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """The type of row, and how it is made; `None` where a text is no model to learn from."""

    record: type[RationaleRow]
    row: Callable[[ProblemGroup, JudgedRationale, str], RationaleRow | None]


def _conversation(
    group: ProblemGroup, one: JudgedRationale, teacher: str
) -> PublishedConversation | None:
    reading = one.candidate.reading
    turns = genprm_conversation(group.question, one.solution.steps, one.rationale.text, reading)
    if turns is None:
        return None
    return PublishedConversation(
        conversations=tuple(Message(role=t["role"], content=t["content"]) for t in turns),
        first_error=reading.first_error,
        num_tokens=one.rationale.num_tokens,
        problem_id=group.problem_id,
        solution_id=one.solution.solution_id,
        rationale_id=one.candidate.rationale_id,
        teacher=teacher,
    )


def _chain(group: ProblemGroup, one: JudgedRationale, teacher: str) -> PublishedChain:
    row = thinkprm_row(
        group.question, one.solution.steps, one.rationale.text, one.candidate.reading
    )
    return PublishedChain(
        problem=row["problem"],
        prefix=row["prefix"],
        cot=row["cot"],
        prefix_steps=tuple(row["prefix_steps"]),
        gt_step_labels=tuple(row["gt_step_labels"]),
        prefix_label=row["prefix_label"],
        num_tokens=one.rationale.num_tokens,
        problem_id=group.problem_id,
        solution_id=one.solution.solution_id,
        rationale_id=one.candidate.rationale_id,
        teacher=teacher,
    )


FORMATS = {
    GenPrmForm.__name__: Format(record=PublishedConversation, row=_conversation),
    ThinkPrmForm.__name__: Format(record=PublishedChain, row=_chain),
}
"""By the name of the form's type; a judge that only names an index writes nothing to learn from."""
