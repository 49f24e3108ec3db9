"""Reading problems: from JSONL, Parquet or a Hub dataset to problem groups, or one clear error."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from factory.core.answers import extract_answer, reference_answer
from factory.core.steps import StepStyle, split_steps
from factory.errors import InputError
from factory.job import ProblemsSection
from schemas.ids import content_id
from schemas.records import ProblemGroup, Solution, Verdict

USUAL_COLUMNS = {
    "question": ("question", "problem", "prompt"),
    "answer": ("answer", "reference_answer", "gold_answer", "ground_truth", "solution"),
    "problem_id": ("problem_id",),
    "solutions": ("solutions",),
}
FILE_SUFFIXES = (".jsonl", ".json", ".parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRow:
    """A row of the input and where it stands."""

    place: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedProblem:
    """A problem and where it stands, for error messages."""

    place: str
    group: ProblemGroup


def read_problems(section: ProblemsSection, step_style: StepStyle) -> Iterator[PlacedProblem]:
    """The problems in input order, given solutions split into steps but not graded.

    Raises InputError naming file, line and field: a missing file or column, malformed JSON, an
    empty question or answer, a problem_id that occurs twice, a solution without steps.
    """
    places: dict[str, str] = {}
    for row in _limited(_rows(section), section.limit):
        group = _group(row, _columns(row, section), step_style)
        if group.problem_id in places:
            raise InputError(
                f"{row.place}: problem_id {group.problem_id!r} occurs at "
                f"{places[group.problem_id]} already: remove one of the two rows"
            )
        places[group.problem_id] = row.place
        yield PlacedProblem(place=row.place, group=group)
    if not places:
        raise InputError(f"{section.path} holds no problems")


def _limited(rows: Iterable[InputRow], limit: int | None) -> Iterator[InputRow]:
    for number, row in enumerate(rows):
        if number == limit:
            return
        yield row


def _rows(section: ProblemsSection) -> Iterator[InputRow]:
    path = Path(section.path)
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.suffix in FILE_SUFFIXES)
        if not files:
            raise InputError(f"{path} holds no {', '.join(FILE_SUFFIXES)} file")
        for file in files:
            yield from _file_rows(file)
    elif path.is_file():
        yield from _file_rows(path)
    elif path.suffix in FILE_SUFFIXES or path.is_absolute() or section.path.startswith("."):
        raise InputError(f"problems.path: {path} does not exist")
    else:
        yield from _hub_rows(section)


def _file_rows(path: Path) -> Iterator[InputRow]:
    if path.suffix == ".parquet":
        yield from _parquet_rows(path)
    elif path.suffix in FILE_SUFFIXES:
        yield from _jsonl_rows(path)
    else:
        raise InputError(f"{path}: problems come as {', '.join(FILE_SUFFIXES)}, or from the Hub")


def _jsonl_rows(path: Path) -> Iterator[InputRow]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            place = f"{path}:{number}"
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except ValueError as error:
                raise InputError(f"{place}: not a JSON line: {error}") from error
            if not isinstance(values, dict):
                raise InputError(f"{place}: each line is a JSON object, not {line[:40]!r}")
            yield InputRow(place=place, values=values)


def _parquet_rows(path: Path) -> Iterator[InputRow]:
    try:
        number = 0
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1000):
            for values in batch.to_pylist():
                number += 1
                yield InputRow(place=f"{path} row {number}", values=values)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file: {error}") from error


def _hub_rows(section: ProblemsSection) -> Iterator[InputRow]:
    from datasets import load_dataset

    try:
        rows = load_dataset(section.path, section.config, split=section.split, streaming=True)
        for number, values in enumerate(rows, start=1):
            yield InputRow(place=f"{section.path} row {number}", values=dict(values))
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"problems.path: {section.path!r} is no file here, and loading it from the Hub "
            f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        ) from error


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
                f"{', '.join(row.values)}; name it under problems.columns.{field}"
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
    return ProblemGroup(
        problem_id=problem_id,
        question=question,
        answer=answer,
        metadata=json.dumps(rest, ensure_ascii=False, default=str) if rest else None,
        solutions=tuple(_given_solutions(row, columns["solutions"], problem_id, step_style)),
    )


def _text(row: InputRow, column: str | None) -> str:
    assert column is not None
    value = row.values[column]
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise InputError(f"{row.place}: {column} must be text, not {value!r}")
    if not value.strip():
        raise InputError(f"{row.place}: {column} is empty")
    return value


def _given_solutions(
    row: InputRow, column: str | None, problem_id: str, step_style: StepStyle
) -> Iterator[Solution]:
    """Each given solution once, as a text or as a list of steps."""
    given = row.values[column] if column else []
    if not isinstance(given, list):
        raise InputError(f"{row.place}: {column} must be a list of solutions, not {given!r}")
    seen: dict[str, int] = {}
    steps_of: dict[str, tuple[str, ...]] = {}
    for number, solution in enumerate(given, start=1):
        steps = _given_steps(solution, step_style)
        if not steps:
            raise InputError(f"{row.place}: {column}, solution {number}, has no steps")
        solution_id = content_id(problem_id, "".join(steps))
        seen[solution_id] = seen.get(solution_id, 0) + 1
        steps_of[solution_id] = steps
    for solution_id, steps in steps_of.items():
        yield Solution(
            solution_id=solution_id,
            steps=steps,
            answer=extract_answer("".join(steps)),
            verdict=Verdict.UNGRADED,
            num_samples=seen[solution_id],
            num_tokens=None,
            finish_reason=None,
        )


def _given_steps(solution: Any, step_style: StepStyle) -> tuple[str, ...]:
    """Steps given as a list are taken as they are, with blank lines put between them."""
    if isinstance(solution, str):
        return split_steps(solution, step_style)
    if isinstance(solution, list) and all(isinstance(s, str) and s.strip() for s in solution):
        *inner, last = solution or [""]
        return (*(s if s[-1].isspace() else f"{s}\n\n" for s in inner), last) if last else ()
    return ()
