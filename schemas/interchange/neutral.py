"""The neutral value as rows: all that was understood of a foreign row, and nothing lost."""

from typing import Any

from schemas.arrow import arrow_schema, to_row
from schemas.interchange.fields import (
    optional_numbers,
    optional_text,
    optional_truth,
    optional_truths,
    text,
    texts,
)
from schemas.interchange.labelled import LabelledSolution, Row

SCHEMA = arrow_schema(LabelledSolution)


def read(row: Row) -> tuple[LabelledSolution, ...]:
    """One solution; whatever may be null may also be absent."""
    return (
        LabelledSolution(
            question=text(row, "question"),
            steps=texts(row, "steps"),
            labels=optional_truths(row, "labels"),
            scores=None if row.get("scores") is None else optional_numbers(row, "scores"),
            answer=optional_text(row, "answer"),
            reference_answer=optional_text(row, "reference_answer"),
            is_correct=optional_truth(row, "is_correct"),
            source_id=optional_text(row, "source_id"),
            metadata=optional_text(row, "metadata"),
        ),
    )


def kept(solution: LabelledSolution) -> LabelledSolution:
    """Everything."""
    return solution


def write(solution: LabelledSolution) -> dict[str, Any]:
    """The row, by the fields' names."""
    return to_row(solution)
