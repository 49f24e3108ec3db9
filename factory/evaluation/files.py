"""Rows of a benchmark: JSONL, JSON or Parquet, a folder of them, or the splits of a Hub dataset."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from factory.convert import FILE_SUFFIXES, rows_in
from factory.errors import InputError, shortened
from factory.input_rows import InputRow
from factory.training.sources import HUB_ID

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedRow:
    """A row, where it stands, and the name of its file or split."""

    place: str
    part: str
    values: dict[str, Any]


def placed_rows(source: str, split: str | None = None) -> Iterator[PlacedRow]:
    """Every row, in order; files by name, splits as the Hub lists them, or the one that is named.

    A dataset on the Hub is org/name, or org/name@revision for another than its newest. Raises
    InputError for what does not exist or cannot be read.
    """
    path = Path(source)
    if path.exists():
        if split is not None:
            raise no_splits(source)
        for row in rows_in(path):
            file = row.place.rpartition(":")[0] or row.place.rpartition(" row ")[0]
            yield _placed(row, Path(file).stem)
    elif (hub := HUB_ID.fullmatch(source)) and path.suffix not in FILE_SUFFIXES:
        yield from _hub_rows(source, hub["repo"], hub["revision"], split)
    else:
        raise InputError(f"{source} does not exist: give a file, a folder, or org/name on the Hub")


def no_splits(source: str) -> InputError:
    """Why nothing of a split is read from this machine."""
    return InputError(
        f"--split is of datasets on the Hub, and {source} is here: name the file, and leave "
        "--split out"
    )


def read_items(
    source: str,
    read: Callable[[PlacedRow], Item],
    expected: str,
    *,
    limit: int | None = None,
    split: str | None = None,
) -> list[Item]:
    """All rows, or the first of them, as `read` makes of them.

    Raises InputError with place and what is `expected` for a row that `read` refuses by ValueError,
    and where there is none.
    """
    found: list[Item] = []
    for row in placed_rows(source, split):
        if limit is not None and len(found) >= limit:
            break
        try:
            found.append(read(row))
        except ValueError as error:
            raise InputError(f"{row.place}: {shortened(error)} ({expected})") from error
    if not found:
        raise InputError(f"{source} holds no rows: there is nothing to evaluate on ({expected})")
    return found


def _placed(row: InputRow, part: str) -> PlacedRow:
    return PlacedRow(place=row.place, part=part, values=row.values)


def _hub_rows(
    source: str, repo: str, revision: str | None, wanted: str | None
) -> Iterator[PlacedRow]:
    from datasets import load_dataset

    try:
        splits = load_dataset(repo, revision=revision, streaming=True)
        if wanted not in (None, *splits):
            raise InputError(f"{source} has no split {wanted}: there are {', '.join(splits)}")
        for split, rows in splits.items():
            if wanted not in (None, split):
                continue
            for number, values in enumerate(rows, start=1):
                place = f"{source} {split} row {number}"
                yield PlacedRow(place=place, part=str(split), values=dict(values))
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{source!r} is no file here, and loading it from the Hub failed: "
            f"{type(error).__name__}: {shortened(error, 300)}"
        ) from error
