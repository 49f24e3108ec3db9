"""ProcessBench: a solution and the 0-based index of its first error, -1 when there is none.

Format: Qwen/ProcessBench (arXiv 2412.06559): id, generator, problem, steps, final_answer_correct,
label.
"""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from schemas.interchange.fields import optional_text, optional_truth, text, texts
from schemas.interchange.labelled import (
    LabelledSolution,
    Row,
    Skip,
    keeping,
    metadata_json,
    metadata_of,
)

NO_ERROR = -1
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("generator", pa.string()),
        ("problem", pa.string()),
        ("steps", pa.list_(pa.string())),
        ("final_answer_correct", pa.bool_()),
        ("label", pa.int64()),
    ]
)


def read(row: Row) -> tuple[LabelledSolution, ...]:
    """One solution: good up to the first error, which is bad; of later steps nothing is known."""
    steps, label = texts(row, "steps"), row.get("label")
    if not steps:
        raise ValueError("'steps' is empty: a solution has one step or more")
    if type(label) is not int or not NO_ERROR <= label < len(steps):
        found = "null" if label is None else repr(label)
        last = len(steps) - 1
        raise ValueError(f"'label' must be {NO_ERROR} or a step, 0 to {last}, not {found}")
    return (
        LabelledSolution(
            question=text(row, "problem"),
            steps=steps,
            labels=_labels(len(steps), None if label == NO_ERROR else label),
            is_correct=optional_truth(row, "final_answer_correct"),
            source_id=optional_text(row, "id"),
            metadata=metadata_json({"generator": optional_text(row, "generator")}),
        ),
    )


def kept(solution: LabelledSolution) -> LabelledSolution:
    """Question, steps, the first error, id, correctness, and the metadata's generator.

    Labels after the first error and soft scores are lost. Raises Skip when a step without a label
    leaves the first error open.
    """
    labels = _labels(len(solution.steps), solution.first_error)
    if any(known and label is None for known, label in zip(labels, solution.labels, strict=True)):
        raise Skip("a step without a label leaves the first error open")
    kept = keeping(solution, "is_correct", "source_id", metadata={"generator": str})
    return replace(kept, labels=labels)


def write(solution: LabelledSolution) -> dict[str, Any]:
    """The row of what is kept; null for an id, generator or correctness that nobody named."""
    first_error = solution.first_error
    return {
        "id": solution.source_id,
        "generator": metadata_of(solution).get("generator"),
        "problem": solution.question,
        "steps": list(solution.steps),
        "final_answer_correct": solution.is_correct,
        "label": NO_ERROR if first_error is None else first_error,
    }


def _labels(num_steps: int, first_error: int | None) -> tuple[bool | None, ...]:
    if first_error is None:
        return (True,) * num_steps
    return (*[True] * first_error, False, *[None] * (num_steps - first_error - 1))
