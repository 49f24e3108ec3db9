"""TRL's stepwise supervision: prompt, completions (which are steps), labels.

Format: huggingface/trl, docs/source/dataset_formats; trl-lib/math_shepherd, trl-lib/prm800k. The
trainer zips completions and labels strictly. Axolotl takes the same rows.
"""

from typing import Any

import pyarrow as pa

from schemas.interchange.fields import text, texts, truths
from schemas.interchange.labelled import LabelledSolution, Row, keeping, labelled_prefix

SCHEMA = pa.schema(
    [
        ("prompt", pa.string()),
        ("completions", pa.list_(pa.string())),
        ("labels", pa.list_(pa.bool_())),
    ]
)


def read(row: Row) -> tuple[LabelledSolution, ...]:
    """One solution; every step has a label."""
    return (
        LabelledSolution(
            question=text(row, "prompt"),
            steps=texts(row, "completions"),
            labels=truths(row, "labels"),
        ),
    )


def kept(solution: LabelledSolution) -> LabelledSolution:
    """Question, and steps and labels up to the first step without a label; nothing else.

    Raises Skip when the first step has no label.
    """
    return keeping(labelled_prefix(solution))


def write(solution: LabelledSolution) -> dict[str, Any]:
    """The row of what is kept."""
    return {
        "prompt": solution.question,
        "completions": list(solution.steps),
        "labels": list(solution.labels),
    }
