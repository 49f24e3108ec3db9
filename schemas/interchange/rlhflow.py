"""RLHFlow's conversations: the user says a step, the assistant "+" or "-".

Format: RLHFlow/Mistral-PRM-Data: `conversations` of {role, content}; the first user turn is the
question, a space and the first step, and each step begins with "Step n:".
"""

from typing import Any

import pyarrow as pa

from schemas.interchange.fields import MARKS, items, text, truth
from schemas.interchange.labelled import LabelledSolution, Row, keeping, labelled_prefix
from schemas.interchange.numbering import (
    kept_when_numbered,
    numbered,
    split_question,
    unnumbered,
)

_TURN = pa.struct([("role", pa.string()), ("content", pa.string())])
SCHEMA = pa.schema([("conversations", pa.list_(_TURN))])


def read(row: Row) -> tuple[LabelledSolution, ...]:
    """One solution; a last step without an answer has no label.

    Raises Skip for a first turn without "Step 1:": nobody could tell where the question ends.
    """
    turns = items(row, "conversations")
    steps: list[str] = []
    labels: list[bool | None] = []
    for number, turn in enumerate(turns):
        role = ("user", "assistant")[number % 2]
        if not isinstance(turn, dict) or turn.get("role") != role:
            raise ValueError(f"turn {number + 1} of 'conversations' must be the {role}'s")
        if role == "user":
            steps.append(text(turn, "content"))
        else:
            labels.append(truth(turn.get("content"), "content"))
    question, first = split_question(steps[0] if steps else "")
    return (
        LabelledSolution(
            question=question,
            steps=unnumbered((first, *steps[1:])),
            labels=(*labels, *[None] * (len(steps) - len(labels))),
        ),
    )


def kept(solution: LabelledSolution) -> LabelledSolution:
    """Question, and steps and labels up to the first step without a label; nothing else.

    Whitespace around texts is lost. Raises Skip when the first step has no label, or the question
    has "Step 1:" in it.
    """
    return keeping(kept_when_numbered(labelled_prefix(solution)))


def write(solution: LabelledSolution) -> dict[str, Any]:
    """The row of what is kept."""
    turns: list[dict[str, str]] = []
    for step, label in zip(numbered(solution), solution.labels, strict=True):
        turns.append({"role": "user", "content": step})
        turns.append({"role": "assistant", "content": MARKS[bool(label)]})
    return {"conversations": turns}
