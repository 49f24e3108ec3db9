"""Our own published rows as labelled solutions. Read only: labels are published from evidence."""

import json

from schemas.interchange.fields import (
    optional_numbers,
    optional_text,
    optional_truth,
    optional_truths,
    text,
    texts,
)
from schemas.interchange.labelled import LabelledSolution, Loss, Row, metadata_json

PROVENANCE = ("problem_id", "recipe", "digest", "generator", "completer", "teacher")


def read(row: Row) -> tuple[LabelledSolution, ...]:
    """One solution with all its steps, also those without a label.

    Soft scores are the posterior means where the recipe states them, else the MC scores. The
    metadata names what made the labels, and holds the problem's own under `metadata`. For a
    `PublishedSolution`, `schemas.arrow.to_row` makes the row.
    """
    soft = optional_numbers(row, "value_means"), optional_numbers(row, "mc_scores")
    own = optional_text(row, "metadata")
    says = {name: optional_text(row, name) for name in PROVENANCE}
    return (
        LabelledSolution(
            question=text(row, "prompt"),
            steps=(*texts(row, "completions"), *texts(row, "unlabelled_steps")),
            labels=optional_truths(row, "step_labels"),
            scores=next((s for s in soft if any(score is not None for score in s)), None),
            answer=optional_text(row, "answer"),
            reference_answer=optional_text(row, "reference_answer"),
            is_correct=optional_truth(row, "is_correct"),
            source_id=optional_text(row, "solution_id"),
            metadata=metadata_json({**says, "metadata": json.loads(own) if own else None}),
        ),
    )


def read_losses(_row: Row) -> frozenset[Loss]:
    """No other format has a place for what the labels were counted from."""
    return frozenset({Loss.COUNTS})
