"""The neutral value between two formats: one solution with its step labels.

A format's `kept` says what remains of a solution in it, its `write` puts that into a row, its
`read` gives it back: `read(write(kept(x))) == (kept(x),)`. What a format loses is the difference
between a solution and what is kept of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

Row = Mapping[str, Any]
"""A row as JSON or Arrow gives it."""


class Skip(ValueError):
    """This row or solution is left out, for a reason in a few fixed words that can be counted.

    Any other ValueError of a reader means that the row is not of the format at all.
    """


class Loss(StrEnum):
    """What did not come through, in the words in which it is counted."""

    UNLABELLED_STEPS = "steps from the first without a label on"
    LATER_LABELS = "labels after the first error"
    STEP_NUMBERS = "the steps' own 'Step n:'"
    WHITESPACE = "whitespace around texts"
    SCORES = "soft scores"
    ANSWER = "the solution's answer"
    REFERENCE_ANSWER = "the reference answer"
    IS_CORRECT = "whether the answer is right"
    SOURCE_ID = "the row's id"
    METADATA = "metadata"
    COUNTS = "rollout counts, posteriors and what a teacher said"
    COLUMNS = "other columns"
    NEUTRAL_RATINGS = "that a rating was neutral"
    ALTERNATIVES = "alternative completions of a step"
    DISAGREEMENTS = "labels on which two rows disagree"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSolution:
    """A solution of T steps with what is known of them; texts are as the source has them."""

    question: str
    """May be empty."""
    steps: tuple[str, ...]
    """T texts, at least one, none of whitespace alone."""
    labels: tuple[bool | None, ...]
    """T labels: is the step good? `None` where nobody said."""
    scores: tuple[float | None, ...] | None = None
    """T soft labels in [0, 1]; `None` instead of the tuple where the source has none."""
    answer: str | None = None
    """The solution's own answer."""
    reference_answer: str | None = None
    is_correct: bool | None = None
    """Whether the solution's answer is right."""
    source_id: str | None = None
    """The row's name where it comes from."""
    metadata: str | None = None
    """JSON object of what else the source says."""

    def __post_init__(self) -> None:
        if not self.steps:
            raise Skip("no steps")
        if not all(isinstance(text, str) for text in (self.question, *self.steps)):
            raise ValueError("question and steps must be text")
        if not all(step.strip() for step in self.steps):
            raise Skip("a step without text")
        for name, entries in (("labels", self.labels), ("scores", self.scores)):
            if entries is not None and len(entries) != len(self.steps):
                raise ValueError(f"{len(entries)} {name} for {len(self.steps)} steps")
        if not all(s is None or 0 <= s <= 1 for s in self.scores or ()):
            raise Skip("a soft score outside [0, 1]")
        if self.metadata is not None and not isinstance(json.loads(self.metadata), dict):
            raise ValueError("metadata must be a JSON object")

    @property
    def first_error(self) -> int | None:
        """0-based index of the first bad step; `None` when no step is bad."""
        return next((i for i, label in enumerate(self.labels) if label is False), None)

    @property
    def num_labelled(self) -> int:
        """How many steps have a label before the first that has none."""
        return next((i for i, label in enumerate(self.labels) if label is None), len(self.labels))


def metadata_of(solution: LabelledSolution) -> dict[str, Any]:
    """The metadata; empty when there is none."""
    metadata = json.loads(solution.metadata) if solution.metadata else {}
    assert isinstance(metadata, dict)
    return metadata


def metadata_json(values: Row) -> str | None:
    """What is said as JSON: null, NaN and false say nothing, and nothing said is `None`."""
    said = {k: v for k, v in values.items() if v is not None and v is not False and v == v}
    return json.dumps(said, ensure_ascii=False) if said else None


def labelled_prefix(solution: LabelledSolution) -> LabelledSolution:
    """The steps before the first without a label. Raises Skip when that is the first step."""
    n = solution.num_labelled
    if not n:
        raise Skip("the first step has no label")
    return replace(
        solution,
        steps=solution.steps[:n],
        labels=solution.labels[:n],
        scores=solution.scores and solution.scores[:n],
    )


def keeping(
    solution: LabelledSolution, *fields: str, metadata: Mapping[str, type] | None = None
) -> LabelledSolution:
    """Only these of the fields that may be `None`, and only this metadata, each of its type."""
    said = metadata_of(solution)
    kept = {k: said[k] for k, kind in (metadata or {}).items() if type(said.get(k)) is kind}
    return replace(
        solution,
        scores=solution.scores if "scores" in fields else None,
        answer=solution.answer if "answer" in fields else None,
        reference_answer=solution.reference_answer if "reference_answer" in fields else None,
        is_correct=solution.is_correct if "is_correct" in fields else None,
        source_id=solution.source_id if "source_id" in fields else None,
        metadata=metadata_json(kept),
    )


def losses(before: LabelledSolution, after: LabelledSolution) -> frozenset[Loss]:
    """What of a solution is missing in what was kept of it; empty when they are equal."""
    n = len(after.steps)
    stripped = [tuple(step.strip() for step in s.steps[:n]) for s in (before, after)]
    is_lost = {
        Loss.UNLABELLED_STEPS: n < len(before.steps),
        Loss.LATER_LABELS: after.labels != before.labels[:n],
        Loss.STEP_NUMBERS: stripped[0] != stripped[1],
        Loss.WHITESPACE: before.question != after.question
        or (stripped[0] == stripped[1] and before.steps[:n] != after.steps),
        Loss.SCORES: after.scores != (before.scores and before.scores[:n]),
        Loss.ANSWER: before.answer != after.answer,
        Loss.REFERENCE_ANSWER: before.reference_answer != after.reference_answer,
        Loss.IS_CORRECT: before.is_correct != after.is_correct,
        Loss.SOURCE_ID: before.source_id != after.source_id,
        Loss.METADATA: metadata_of(before) != metadata_of(after),
    }
    return frozenset(loss for loss, lost in is_lost.items() if lost)
