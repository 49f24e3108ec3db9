"""Math-Shepherd: the whole solution in one text, a tag at the end of each step.

Format: peiyi9979/Math-Shepherd (arXiv 2312.08935), 444,655 rows of `input`, `label`, `task`.
`label` is `input` with + or - in place of each tag, so the two are of equal length once the tag
counts as one character. zhuzilin/Math-Shepherd, which OpenRLHF trains on, adds `value`: one entry
per tag, "+" and "-" or numbers. About one row in 4,000 has no "Step 1:" before its first tag.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pyarrow as pa

from schemas.interchange.fields import (
    MARKS,
    SIGNS,
    items,
    optional_numbers,
    optional_text,
    text,
    truth,
)
from schemas.interchange.labelled import (
    LabelledSolution,
    Row,
    Skip,
    keeping,
    labelled_prefix,
    metadata_json,
    metadata_of,
)
from schemas.interchange.numbering import (
    kept_when_numbered,
    numbered,
    split_question,
    unnumbered,
)

TAG = "ки"
SCHEMA = pa.schema([(name, pa.string()) for name in ("input", "label", "task")])
VALUE_SCHEMA = SCHEMA.append(pa.field("value", pa.list_(pa.float64())))


def read(row: Row) -> tuple[LabelledSolution, ...]:
    """One solution; the task goes to the metadata, numbers in `value` are soft scores.

    Letters of a longer word that look like the tag are text: `label` has them too. Text after the
    last tag is a step without a label. Raises Skip for rows that break the invariant, have no tag,
    or do not show where the question ends.
    """
    tagged, marked = text(row, "input"), optional_text(row, "label")
    ends, labels = (_all_tags(tagged), None) if marked is None else _aligned(tagged, marked)
    if not ends:
        raise Skip("no tag")
    given, scores = _values(row, len(ends))
    if labels is None and given is None and scores is None:
        raise ValueError("neither 'label' nor 'value' is there")
    if labels is not None and given is not None and labels != given:
        raise Skip("'label' and 'value' disagree")
    labels = labels or given or [None] * len(ends)
    pieces = [tagged[a:b].removeprefix(TAG) if a else tagged[:b] for a, b in pairwise([0, *ends])]
    if tail := tagged[ends[-1] + len(TAG) :].strip():
        pieces, labels = [*pieces, tail], [*labels, None]
        scores = scores and [*scores, None]
    question, first = split_question(pieces[0])
    return (
        LabelledSolution(
            question=question,
            steps=unnumbered((first, *pieces[1:])),
            labels=tuple(labels),
            scores=tuple(scores) if scores else None,
            metadata=metadata_json({"task": optional_text(row, "task")}),
        ),
    )


def kept(solution: LabelledSolution) -> LabelledSolution:
    """Question, steps and labels up to the first without a label, and the metadata's task.

    Whitespace around texts is lost. Raises Skip when the first step has no label, when a text has
    the tag in it, or the question "Step 1:".
    """
    prefix = kept_when_numbered(labelled_prefix(solution))
    if any(TAG in part for part in (prefix.question, *prefix.steps)):
        raise Skip(f"a text has the tag '{TAG}' in it")
    return keeping(prefix, metadata={"task": str})


def write(solution: LabelledSolution) -> dict[str, Any]:
    """The row of what is kept; null for a task that nobody named."""
    steps = numbered(solution)
    marks = [MARKS[bool(label)] for label in solution.labels]
    return {
        "input": "\n".join(f"{step} {TAG}" for step in steps),
        "label": "\n".join(f"{step} {mark}" for step, mark in zip(steps, marks, strict=True)),
        "task": metadata_of(solution).get("task"),
    }


def kept_with_values(solution: LabelledSolution) -> LabelledSolution:
    """As `kept`, and the soft scores. Raises Skip where a labelled step has none."""
    scores = labelled_prefix(solution).scores
    if scores is None or None in scores:
        raise Skip("a step without a soft score")
    return replace(kept(solution), scores=scores)


def write_with_values(solution: LabelledSolution) -> dict[str, Any]:
    """The row of what is kept, with the soft scores as `value`."""
    return {**write(solution), "value": list(solution.scores or ())}


def _all_tags(tagged: str) -> list[int]:
    ends, at = [], tagged.find(TAG)
    while at >= 0:
        ends.append(at)
        at = tagged.find(TAG, at + len(TAG))
    return ends


def _aligned(tagged: str, marked: str) -> tuple[list[int], list[bool | None]]:
    """Where the tags stand and what `label` has in their place."""
    ends: list[int] = []
    labels: list[bool | None] = []
    rebuilt, done = "", 0
    for at in _all_tags(tagged):
        rebuilt += tagged[done:at]
        done = at + len(TAG)
        sign = marked[len(rebuilt) : len(rebuilt) + 1]
        if sign in SIGNS:
            ends.append(at)
            labels.append(SIGNS[sign])
        rebuilt += sign if sign in SIGNS else TAG
    if rebuilt + tagged[done:] != marked:
        raise Skip("'input' and 'label' differ in more than the tags")
    return ends, labels


def _values(row: Row, num_tags: int) -> tuple[list[bool | None] | None, list[float | None] | None]:
    """Labels or soft scores, whichever `value` holds."""
    if row.get("value") is None:
        return None, None
    values = items(row, "value")
    if len(values) != num_tags:
        raise Skip("not as many values as tags")
    if all(isinstance(value, str) for value in values):
        return [truth(value, "value") for value in values], None
    return None, list(optional_numbers(row, "value"))
