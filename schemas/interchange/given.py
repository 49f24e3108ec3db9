"""Labelled solutions as problems for a job that takes solutions and labels as given.

One row is one problem: question, answer, solutions (lists of steps), and labels, parallel to the
solutions and their steps. `prm-factory label` reads such rows; a teacher that explains given
labels finds them under `labels`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from schemas.interchange.labelled import LabelledSolution, Loss, Skip, keeping, losses

SCHEMA = pa.schema(
    [
        ("question", pa.string()),
        ("answer", pa.string()),
        ("solutions", pa.list_(pa.list_(pa.string()))),
        ("labels", pa.list_(pa.list_(pa.bool_()))),
    ]
)

Labels = tuple[bool | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenRows:
    """The rows, in order of each question's first solution, and what did not come through."""

    rows: tuple[dict[str, Any], ...]
    skipped: dict[str, int]
    """Solutions left out, by reason."""
    lost: dict[Loss, int]
    """Solutions that lost something, by what."""


@dataclass(slots=True)
class _Problem:
    """A question with its solutions so far, by their text, and all labels each was given."""

    answer: str
    steps: dict[str, tuple[str, ...]] = field(default_factory=dict)
    labels: dict[str, list[Labels]] = field(default_factory=dict)


def labels_from_given(solutions: Iterable[LabelledSolution]) -> GivenRows:
    """One row per question.

    A job names problems by question and solutions by text, so each stands here once. Where two
    rows have the same solution a label wins over none, and labels that disagree are none.
    Left out is a solution without question or reference answer, with another reference answer than
    the question's first one, or with the text of another one that was split otherwise.
    """
    problems: dict[str, _Problem] = {}
    skipped: Counter[str] = Counter()
    lost: Counter[Loss] = Counter()
    for solution in solutions:
        try:
            _add(problems, solution)
        except Skip as reason:
            skipped[str(reason)] += 1
            continue
        lost.update(losses(solution, keeping(solution, "reference_answer")))
    for problem in problems.values():
        disputed = sum(map(_is_disputed, problem.labels.values()))
        lost.update({Loss.DISAGREEMENTS: disputed} if disputed else {})
    rows = tuple(_row(question, problem) for question, problem in problems.items())
    return GivenRows(rows=rows, skipped=dict(skipped), lost=dict(lost))


def _add(problems: dict[str, _Problem], solution: LabelledSolution) -> None:
    if not solution.question.strip():
        raise Skip("no question")
    answer = solution.reference_answer
    if answer is None or not answer.strip():
        raise Skip("no reference answer")
    problem = problems.get(solution.question) or _Problem(answer)
    if problem.answer != answer:
        raise Skip("another reference answer than the question's first")
    written = _text(solution.steps)
    if problem.steps.setdefault(written, solution.steps) != solution.steps:
        raise Skip("the text of another solution, split otherwise")
    problem.labels.setdefault(written, []).append(solution.labels)
    problems[solution.question] = problem


def _said(given: list[Labels]) -> list[set[bool]]:
    """The labels that each step was given."""
    return [set(labels) - {None} for labels in zip(*given, strict=True)]


def _is_disputed(given: list[Labels]) -> bool:
    return any(len(labels) > 1 for labels in _said(given))


def _text(steps: tuple[str, ...]) -> str:
    """The solution as a job reads it from a list of steps: blank lines between them."""
    *inner, last = steps
    return "".join([*(s if s[-1].isspace() else f"{s}\n\n" for s in inner), last])


def _row(question: str, problem: _Problem) -> dict[str, Any]:
    said = [_said(given) for given in problem.labels.values()]
    return {
        "question": question,
        "answer": problem.answer,
        "solutions": [list(steps) for steps in problem.steps.values()],
        "labels": [[next(iter(s)) if len(s) == 1 else None for s in steps] for steps in said],
    }
