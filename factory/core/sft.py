"""Rows for training generative PRMs: GenPRM's conversations and ThinkPRM's chains.

Both come from a rationale and its reading, and end with the first bad step. The shapes are those
of GenPRM-MATH-Data (one column `conversations`) and of thinkprm-1K-verification-cots.
"""

from collections.abc import Sequence
from typing import TypedDict

from factory.core.teachers.form import Reading
from factory.core.teachers.genprm_text import critique_of, sections_of
from factory.core.teachers.judgements import after_thinking
from factory.core.teachers.thinkprm import concluded, cut_after_last_decision, numbered

NOT_IN_SECTIONS = "not one section per judged step"
GENPRM_SYSTEM = (
    "You check solutions of mathematical problems. You review each paragraph as it is shown to "
    "you, test it with Python code, and judge it."
)
SYSTEM, USER, ASSISTANT = "system", "user", "assistant"


class Turn(TypedDict):
    """One entry of a conversation; a trainer's loss is on the assistant's turns alone."""

    role: str
    content: str


class ThinkPrmRow(TypedDict):
    """One row of ThinkPRM's data set."""

    problem: str
    prefix: str
    """The steps, a line each: "Step 1: ..."."""
    cot: str
    prefix_steps: list[str]
    gt_step_labels: list[str]
    """"+" or "-", one per step."""
    prefix_label: bool
    """Whether all steps are good."""


def genprm_conversation(
    question: str,
    steps: Sequence[str],
    text: str,
    reading: Reading,
    *,
    system: str = GENPRM_SYSTEM,
) -> list[Turn] | None:
    """System text, then in turn a step and the section that judges it, executed output in place.

    `None` where a judged step has no section of its own that judges it: a lenient reader takes
    some texts that are no model to learn from. So it is with a reading without verdicts.
    """
    sections = list(sections_of(after_thinking(text)))[: len(reading.verdicts)]
    said = [[judged.is_good for judged in critique_of(section).steps] for section in sections]
    if not sections or said != [[verdict] for verdict in reading.verdicts]:
        return None
    turns = [Turn(role=SYSTEM, content=system)]
    for i, (step, section) in enumerate(zip(steps[: len(said)], sections, strict=True)):
        shown = step.strip() if i else f"Question: {question}\n\n{step.strip()}"
        turns.append(Turn(role=USER, content=shown))
        turns.append(Turn(role=ASSISTANT, content=section))
    return turns


def genprm_text(conversation: Sequence[Turn]) -> str:
    """The critique as one text again, headings included and without its final index."""
    sections = [turn["content"] for turn in conversation if turn["role"] == ASSISTANT]
    return "\n\n".join(f"### Paragraph {i}\n{text}" for i, text in enumerate(sections, 1))


def thinkprm_row(question: str, steps: Sequence[str], text: str, reading: Reading) -> ThinkPrmRow:
    """The judged steps and the chain about them, cut after its last decision.

    A reading without verdicts has no row: `ValueError`.
    """
    if not reading.verdicts:
        raise ValueError(f"no row from a text without verdicts: {reading.reason or 'no steps'}")
    prefix = [step.strip() for step in steps[: len(reading.verdicts)]]
    is_good = reading.first_error is None
    return ThinkPrmRow(
        problem=question,
        prefix=numbered(prefix),
        cot=concluded(cut_after_last_decision(text), is_good),
        prefix_steps=prefix,
        gt_step_labels=["+" if verdict else "-" for verdict in reading.verdicts],
        prefix_label=is_good,
    )


def chain_of_thought(row: ThinkPrmRow) -> str:
    """The teacher's chain again, as a form reads it."""
    return row["cot"].removeprefix("<think>\n").rpartition("\n</think>\n")[0]
