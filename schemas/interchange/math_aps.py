"""MATH-APS, OpenR's flat format: a tag at the end of each step, labels in a list.

Format: openreasoner/MATH-APS: question, process, label; openreasoner/openr,
prm/code/finetune_qwen.py. The tag is five line feeds; older files have "ки" and call the list
`labels`.
"""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from schemas.interchange.fields import MARKS, text, truths
from schemas.interchange.labelled import LabelledSolution, Row, Skip, keeping, labelled_prefix

TAG = "\n\n\n\n\n"
OLD_TAG = "ки"
SCHEMA = pa.schema(
    [("question", pa.string()), ("process", pa.string()), ("label", pa.list_(pa.string()))]
)


def read(row: Row) -> tuple[LabelledSolution, ...]:
    """One solution; text after the last tag is a step without a label.

    Raises Skip when there are not as many labels as tags. OpenR's trainer cuts them silently.
    """
    process = text(row, "process")
    labels: tuple[bool | None, ...] = truths(row, "label" if "label" in row else "labels")
    *steps, tail = process.split(TAG if TAG in process else OLD_TAG)
    if len(steps) != len(labels):
        raise Skip("not as many labels as tags")
    if tail.strip():
        steps, labels = [*steps, tail], (*labels, None)
    return (
        LabelledSolution(
            question=text(row, "question"),
            steps=tuple(step.strip() for step in steps),
            labels=labels,
        ),
    )


def kept(solution: LabelledSolution) -> LabelledSolution:
    """Question, and steps and labels up to the first step without a label; nothing else.

    Whitespace around steps is lost. Raises Skip when the first step has no label, or a step has
    the tag in it.
    """
    prefix = labelled_prefix(solution)
    steps = tuple(step.strip() for step in prefix.steps)
    if any(TAG in step for step in steps):
        raise Skip("a step has five line feeds in a row")
    return keeping(replace(prefix, steps=steps))


def write(solution: LabelledSolution) -> dict[str, Any]:
    """The row of what is kept."""
    return {
        "question": solution.question,
        "process": "".join(f"{step} {TAG}" for step in solution.steps),
        "label": [MARKS[bool(label)] for label in solution.labels],
    }
