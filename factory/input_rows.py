"""Rows of the input as they stand: from JSONL, Parquet or the Hub, each with its place."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from factory.errors import InputError, shortened
from factory.job import ProblemsSection
from factory.places import place_of
from schemas.files import is_local

FILE_SUFFIXES = (".jsonl", ".json", ".parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRow:
    """A row of the input and where it stands."""

    place: str
    values: dict[str, Any]


def input_rows(section: ProblemsSection) -> Iterator[InputRow]:
    """Every row, in order; the files of a folder by name.

    Raises InputError for what does not exist or cannot be read.
    """
    path = place_of(section.path)
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.suffix in FILE_SUFFIXES)
        if not files:
            raise InputError(f"problems.path: {path} holds no {', '.join(FILE_SUFFIXES)} file")
        for file in files:
            yield from _file_rows(file)
    elif path.is_file():
        yield from _file_rows(path)
    elif not _could_be_hub_id(section.path, path):
        raise InputError(
            f"problems.path: {path} does not exist; give a file or folder, relative to the job "
            "file, or a Hub dataset like 'openai/gsm8k'"
        )
    else:
        yield from _hub_rows(section)


def _could_be_hub_id(name: str, path: Path) -> bool:
    is_plain = is_local(path) and not path.is_absolute() and path.suffix not in FILE_SUFFIXES
    return is_plain and name.count("/") <= 1 and not name.startswith((".", "~", "/"))


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
            if line.strip():
                place = f"{path}:{number}"
                yield InputRow(place=place, values=_json_object(line, place))


def _json_object(line: bytes, place: str) -> dict[str, Any]:
    try:
        values = json.loads(line, parse_constant=_not_a_number)
        if b"\\u" in line:
            json.dumps(values, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except json.JSONDecodeError as error:
        raise InputError(
            f"{place}: not a JSON line: {error.msg} at character {error.colno} of "
            f"{shortened(error.doc, 60)!r}: write one JSON object per line"
        ) from error
    except UnicodeError as error:
        raise InputError(f"{place}: not UTF-8 text: {shortened(error)}") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits; deep nesting
        raise InputError(f"{place}: not a JSON line: {shortened(error)}") from error
    if not isinstance(values, dict):
        kinds = {list: "an array", type(None): "null", bool: "true or false", str: "a text"}
        kind = kinds.get(type(values), "a number")
        raise InputError(f"{place}: each line holds one JSON object, this one {kind}")
    return values


def _not_a_number(_name: str) -> None:
    """NaN is how pandas writes an absent value, and no JSON."""


def _parquet_rows(path: Path) -> Iterator[InputRow]:
    try:
        number = 0
        with path.open("rb") as stream:
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=1000):
                for values in batch.to_pylist():
                    number += 1
                    yield InputRow(place=f"{path} row {number}", values=values)
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise InputError(f"{path}: not a readable Parquet file: {shortened(error)}") from error


def _hub_rows(section: ProblemsSection) -> Iterator[InputRow]:
    from datasets import load_dataset

    try:
        rows = load_dataset(section.path, section.config, split=section.split, streaming=True)
        for number, values in enumerate(rows, start=1):
            yield InputRow(place=f"{section.path} row {number}", values=dict(values))
    except Exception as error:
        raise InputError(
            f"problems.path: {section.path!r} is no file here, and loading it from the Hub "
            f"failed: {type(error).__name__}: {shortened(error, 300)} (config "
            f"{section.config!r}, split {section.split!r})"
        ) from error
