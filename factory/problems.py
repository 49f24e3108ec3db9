"""Reading problems: from JSONL, Parquet or a Hub dataset to problem groups, or one clear error."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

from factory.core.answers import extract_answer, reference_answer
from factory.core.steps import StepStyle, split_steps
from factory.errors import InputError, shortened
from factory.input_rows import InputRow, input_rows
from factory.job import ProblemsSection
from schemas.ids import content_id
from schemas.records import ProblemGroup, Solution, Verdict

USUAL_COLUMNS = {
    "question": ("question", "problem", "prompt"),
    "answer": ("answer", "reference_answer", "gold_answer", "ground_truth", "solution"),
    "problem_id": ("problem_id",),
    "solutions": ("solutions",),
    "labels": ("labels",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedProblem:
    """A problem and where it stands, for error messages."""

    place: str
    group: ProblemGroup


def read_problems(
    section: ProblemsSection, step_style: StepStyle, *, with_labels: bool = False
) -> Iterator[PlacedProblem]:
    """The problems in input order, given solutions split into steps but not graded.

    Labels are read where they are asked for or their column is named; else such a column is
    metadata like any other.

    Raises InputError naming file, line and field: a missing file or column, malformed JSON, an
    empty question or answer, a problem_id that occurs twice, a solution without steps.
    """
    places: dict[str, str] = {}
    for row in islice(input_rows(section), section.limit):
        columns = _columns(row, section)
        if not with_labels and "labels" not in section.columns:
            columns["labels"] = None
        group = _group(row, columns, step_style)
        if group.problem_id in places:
            named = columns["problem_id"]
            what = f"{named} {shortened(group.problem_id)!r}" if named else "the same question"
            raise InputError(
                f"{row.place}: {what} stands at {places[group.problem_id]} already: remove one of "
                f"the two rows, or give each {'its own' if named else 'a problem_id'}"
            )
        places[group.problem_id] = row.place
        yield PlacedProblem(place=row.place, group=group)
    if not places:
        raise InputError(f"problems.path: {section.path} holds no problems")


def _columns(row: InputRow, section: ProblemsSection) -> dict[str, str | None]:
    """The row's column for each field."""
    found: dict[str, str | None] = {}
    for field, usual in USUAL_COLUMNS.items():
        named = section.columns.get(field)  # type: ignore[call-overload]
        candidates = (named,) if named else usual
        found[field] = next((c for c in candidates if c in row.values), None)
        if found[field] is None and (named or field in ("question", "answer")):
            wanted = repr(named) if named else " or ".join(map(repr, usual))
            raise InputError(
                f"{row.place}: no column {wanted} for the {field}: the row has "
                f"{shortened(', '.join(row.values)) or 'none'}; name it under "
                f"problems.columns.{field}"
            )
    return found


def _group(row: InputRow, columns: dict[str, str | None], step_style: StepStyle) -> ProblemGroup:
    question = _text(row, columns["question"])
    answer = reference_answer(_text(row, columns["answer"]))
    if answer is None:
        raise InputError(
            f"{row.place}: {columns['answer']} states no answer: "
            "nothing stands after '####' or inside \\boxed{}"
        )
    id_column = columns["problem_id"]
    problem_id = _text(row, id_column) if id_column else content_id(question)
    rest = {k: v for k, v in row.values.items() if k not in columns.values()}
    labels_column = columns["labels"] if columns["solutions"] else None
    solutions = tuple(
        _given_solutions(row, columns["solutions"], labels_column, problem_id, step_style)
    )
    return ProblemGroup(
        problem_id=problem_id,
        question=question,
        answer=answer,
        metadata=json.dumps(_finite(rest), ensure_ascii=False, default=str) if rest else None,
        input_id=content_id(question, answer, *map(_named, solutions)),
        solutions=solutions,
    )


def _text(row: InputRow, column: str | None) -> str:
    assert column is not None
    value = row.values[column]
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        value = None if str(value).lower() == "nan" else str(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise InputError(f"{row.place}: {column} is empty: fill it in or remove the row")
    if not isinstance(value, str):
        raise InputError(f"{row.place}: {column} must be text, not {shortened(repr(value), 80)}")
    return value


def _finite(value: Any) -> Any:
    """The value with null for every number that JSON has no word for."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _named(solution: Solution) -> str:
    """What makes a given solution another one: its text, and its labels where there are any."""
    if not solution.given_labels:
        return solution.solution_id
    marks = {True: "+", False: "-", None: "?"}
    return solution.solution_id + "".join(marks[label] for label in solution.given_labels)


def _given_solutions(
    row: InputRow,
    column: str | None,
    labels_column: str | None,
    problem_id: str,
    step_style: StepStyle,
) -> Iterator[Solution]:
    """Each given solution once, as a text or as a list of steps.

    Where two rows give one text different labels for a step, it has none.
    """
    given = row.values[column] if column else []
    if not isinstance(given, list):
        raise InputError(
            f"{row.place}: {column} must be a list of solutions, not {shortened(repr(given), 80)}"
        )
    labels = _label_lists(row, labels_column, len(given))
    seen: dict[str, int] = {}
    steps_of: dict[str, tuple[str, ...]] = {}
    labels_of: dict[str, tuple[bool | None, ...]] = {}
    for number, solution in enumerate(given, start=1):
        try:
            steps = _given_steps(solution, step_style)
            own = _given_labels(labels[number - 1], len(steps)) if labels else ()
        except ValueError as error:
            raise InputError(f"{row.place}: {column}, solution {number}, {error}") from error
        solution_id = content_id(problem_id, "".join(steps))
        seen[solution_id] = seen.get(solution_id, 0) + 1
        steps_of[solution_id] = steps
        known = labels_of.setdefault(solution_id, own)
        labels_of[solution_id] = tuple(
            a if a == b else None for a, b in zip(known, own, strict=True)
        )
    for solution_id, steps in steps_of.items():
        yield Solution(
            solution_id=solution_id,
            steps=steps,
            answer=extract_answer("".join(steps)),
            verdict=Verdict.UNGRADED,
            num_samples=seen[solution_id],
            num_tokens=None,
            finish_reason=None,
            given_labels=labels_of[solution_id],
        )


def _label_lists(row: InputRow, column: str | None, num_solutions: int) -> list[Any]:
    """The lists of labels, one per solution; none where the row brings no labels."""
    lists = row.values[column] if column else None
    if lists is None:
        return []
    if not isinstance(lists, list) or len(lists) != num_solutions:
        what = f"{len(lists)} lists" if isinstance(lists, list) else shortened(repr(lists), 80)
        raise InputError(
            f"{row.place}: {column} must hold one list of labels for each of the "
            f"{num_solutions} solutions, not {what}"
        )
    return lists


def _given_labels(labels: Any, num_steps: int) -> tuple[bool | None, ...]:
    """Raises ValueError unless there is true, false or null for every step."""
    if not isinstance(labels, list) or any(x not in (True, False, None) for x in labels):
        raise ValueError(f"labels must be true, false or null, not {shortened(repr(labels), 80)}")
    if len(labels) != num_steps:
        raise ValueError(f"has {len(labels)} labels for {num_steps} steps")
    return tuple(None if label is None else bool(label) for label in labels)


def _given_steps(solution: Any, step_style: StepStyle) -> tuple[str, ...]:
    """Steps given as a list are taken as they are, with blank lines put between them.

    Raises ValueError for a solution that is of another type or without steps.
    """
    if isinstance(solution, str):
        steps: tuple[Any, ...] = split_steps(solution, step_style)
    elif isinstance(solution, list):
        steps = tuple(solution)
    else:
        kind = "null" if solution is None else type(solution).__name__
        raise ValueError(f"must be a text or a list of steps, not {kind}")
    if not steps:
        raise ValueError("has no steps: fill it in or remove it")
    for number, step in enumerate(steps, start=1):
        if not isinstance(step, str) or not step.strip():
            raise ValueError(f"step {number} must be text, not {shortened(repr(step), 80)}")
    if isinstance(solution, str):
        return steps
    *inner, last = steps
    return (*(s if s[-1].isspace() else f"{s}\n\n" for s in inner), last)
