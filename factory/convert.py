"""Whole files from one format of step labels to another: what was written, left out and lost.

The output is complete or absent: it is written under a temporary name beside its place.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from factory.errors import InputError, shortened
from factory.input_rows import FILE_SUFFIXES, InputRow, input_rows
from factory.job import ProblemsSection
from factory.report.show import open_dataset, published_rows
from schemas.files import is_local, make_folder, read_bytes
from schemas.interchange import given
from schemas.interchange.formats import Format, Writing, format_named
from schemas.interchange.labelled import LabelledSolution, Loss, Skip, losses
from schemas.interchange.prm800k_path import NeutralRating

PROBLEMS = "problems"
"""Rows for a job: one per question, with its solutions and their labels as given."""
OUT_SUFFIXES = (".jsonl", ".parquet")
ROWS_WRITTEN_TOGETHER = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What became of the rows."""

    num_rows: int
    """Rows read."""
    num_solutions: int
    """Solutions they had."""
    num_written: int
    """Rows written."""
    skipped: dict[str, int]
    """Rows and solutions left out, by reason."""
    lost: dict[str, int]
    """Rows and solutions that lost something, by what."""

    def lines(self) -> list[str]:
        """What a person is told."""
        return [
            f"{self.num_rows:,} rows read, {self.num_solutions:,} solutions in them, "
            f"{self.num_written:,} rows written",
            *(f"left out: {reason}: {count:,}" for reason, count in _by_count(self.skipped)),
            *(f"lost: {loss}: {count:,}" for loss, count in _by_count(self.lost)),
        ]


@dataclass(slots=True)
class _Tally:
    """Counts while rows stream."""

    num_rows: int
    num_solutions: int
    num_written: int
    skipped: Counter[str]
    lost: Counter[str]


def export_dataset(folder: Path, format_name: str, out: Path) -> Conversion:
    """Writes a published dataset, a job's or a dataset's folder, in a foreign format.

    Raises InputError where there is no dataset, for an unknown format, and when nothing is left.
    """
    target = _format(format_name)
    dataset, _ = open_dataset(folder)
    rows = (
        InputRow(place=f"{dataset} row {number}", values=values)
        for number, values in enumerate(published_rows(dataset), start=1)
    )
    return _convert(rows, _format("prm-factory"), target, out)


def import_file(
    source: Path,
    format_name: str,
    out: Path,
    *,
    to: str = PROBLEMS,
    neutral: str | None = None,
    alternatives: bool = False,
) -> Conversion:
    """Reads a JSONL, JSON or Parquet file, or a folder of them, and writes what `to` names.

    `to` is "problems" (see `schemas.interchange.given`), "labelled" (all that was understood), or
    any format that can be written. `neutral` and `alternatives` are PRM800K's: what its rating 0
    means has to be said. Raises InputError with file and line for a row that is none of the
    format's, and when nothing is left.
    """
    known = [rating.value for rating in NeutralRating]
    if neutral not in (None, *known):
        raise InputError(f"no neutral rating {neutral!r}: there are {', '.join(known)}")
    rating = NeutralRating(neutral) if neutral else None
    format_ = _format(format_name, neutral=rating, alternatives=alternatives)
    target = None if to == PROBLEMS else _format(to)
    if out.exists() and source.exists() and is_local(source) and out.samefile(source):
        raise InputError(f"{out} is what would be read: name another file with --out")
    return _convert(rows_in(source), format_, target, out)


def _convert(
    rows: Iterable[InputRow], source: Format, target: Format | None, out: Path
) -> Conversion:
    if out.suffix not in OUT_SUFFIXES:
        raise InputError(f"{out}: the file's name must end with {' or '.join(OUT_SUFFIXES)}")
    if target and not target.writing:
        raise InputError(f"{target.name} is only read: choose another format to write")
    tally = _Tally(0, 0, 0, Counter(), Counter())
    solutions = _solutions(rows, source, tally)
    if target and target.writing:
        written, schema = _written(solutions, target.writing, tally), target.writing.schema
    else:
        written, schema = _problems(solutions, tally), given.SCHEMA
    _write(written, schema, out, tally)
    return Conversion(
        num_rows=tally.num_rows,
        num_solutions=tally.num_solutions,
        num_written=tally.num_written,
        skipped=dict(tally.skipped),
        lost=dict(tally.lost),
    )


def _solutions(
    rows: Iterable[InputRow], source: Format, tally: _Tally
) -> Iterator[LabelledSolution]:
    for row in rows:
        tally.num_rows += 1
        try:
            read = source.read(row.values)
        except Skip as reason:
            tally.skipped[str(reason)] += 1
            continue
        except ValueError as error:
            raise InputError(
                f"{row.place}: not a row of {source.name}: {shortened(error)}"
            ) from error
        others = [k for k, v in row.values.items() if v is not None and k not in source.columns]
        tally.lost.update([Loss.COLUMNS] if others else [])
        tally.lost.update(loss for loss in source.read_losses(row.values))
        tally.num_solutions += len(read)
        yield from read


def _written(
    solutions: Iterable[LabelledSolution], writing: Writing, tally: _Tally
) -> Iterator[dict[str, Any]]:
    for solution in solutions:
        try:
            kept = writing.kept(solution)
        except Skip as reason:
            tally.skipped[str(reason)] += 1
            continue
        tally.lost.update(losses(solution, kept))
        yield writing.write(kept)


def _problems(solutions: Iterable[LabelledSolution], tally: _Tally) -> Iterator[dict[str, Any]]:
    made = given.labels_from_given(solutions)
    tally.skipped.update(made.skipped)
    tally.lost.update(made.lost)
    yield from made.rows


def _format(
    name: str, *, neutral: NeutralRating | None = None, alternatives: bool = False
) -> Format:
    try:
        return format_named(name, neutral=neutral, alternatives=alternatives)
    except ValueError as error:
        raise InputError(str(error)) from error


def rows_in(source: Path) -> Iterator[InputRow]:
    """The rows of a file, or of a folder's files by name."""
    if source.is_dir():
        files = sorted(f for f in source.rglob("*") if f.suffix in FILE_SUFFIXES)
    elif source.is_file() and source.suffix in FILE_SUFFIXES:
        files = [source]
    elif source.exists():
        raise InputError(f"{source}: rows come as {', '.join(FILE_SUFFIXES)}")
    else:
        raise InputError(f"{source} does not exist: give a file or a folder")
    if not files:
        raise InputError(f"{source} holds no {', '.join(FILE_SUFFIXES)} file")
    for file in files:
        if file.suffix == ".json" and _is_array(file):
            yield from _array_rows(file)
        else:
            yield from input_rows(ProblemsSection(path=str(file)))


def _is_array(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(1_000).lstrip().startswith(b"[")


def _array_rows(file: Path) -> Iterator[InputRow]:
    """The rows of a JSON array, all in memory at once."""
    try:
        rows = json.loads(read_bytes(file), parse_constant=lambda _name: None)
        json.dumps(rows, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: not JSON: {shortened(error)}") from error
    for number, values in enumerate(rows, start=1):
        place = f"{file} row {number}"
        if not isinstance(values, dict):
            shown = shortened(json.dumps(values), 60)
            raise InputError(f"{place}: each row is an object, this one is {shown}")
        yield InputRow(place=place, values=values)


def _write(rows: Iterator[dict[str, Any]], schema: pa.Schema, out: Path, tally: _Tally) -> None:
    """Writes all rows and only then gives the file its name.

    Raises InputError, and leaves what was there, when there are none.
    """
    make_folder(out.parent)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    write = _write_parquet if out.suffix == ".parquet" else _write_jsonl
    try:
        tally.num_written = write(rows, schema, temporary)
        if not tally.num_written:
            reasons = [f"{reason} ({count:,})" for reason, count in _by_count(tally.skipped)]
            raise InputError(
                f"nothing to write of {tally.num_rows:,} rows: "
                f"{', '.join(reasons) or 'there are none'}"
            )
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def _write_jsonl(rows: Iterator[dict[str, Any]], _schema: pa.Schema, path: Path) -> int:
    num_rows = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(f"{json.dumps(row, ensure_ascii=False, allow_nan=False)}\n")
            num_rows += 1
        file.flush()
        os.fsync(file.fileno())
    return num_rows


def _write_parquet(rows: Iterator[dict[str, Any]], schema: pa.Schema, path: Path) -> int:
    num_rows = 0
    with closing(pq.ParquetWriter(path, schema, compression="zstd")) as writer:
        while batch := list(islice(rows, ROWS_WRITTEN_TOGETHER)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            num_rows += len(batch)
    return num_rows


def _by_count(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
