"""A job's problems in slices: each is written once, in input order, and becomes one shard.

A shard holds the rows of its slice and of no other, so its bytes do not depend on the order in
which problems were finished. Problems that join later come in slices of their own. Where two
slices hold a problem it belongs to the later one: it was left out when the earlier was sealed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import ceil
from pathlib import Path

import pyarrow as pa

from factory.stage_folder import slice_name
from factory.stored import Row, indexed
from schemas.arrow import arrow_schema
from schemas.files import listed, read_table, remove, write_table
from schemas.records import ProblemGroup

SLICES_PER_JOB = 32
MIN_PROBLEMS, MAX_PROBLEMS = 64, 5_000
"""Of a slice, where the job does not say how many."""


def problems_per_slice(num_problems: int, asked: int | None) -> int:
    """How many problems a slice takes: what the job says, else a 32nd part of it."""
    return asked or min(MAX_PROBLEMS, max(MIN_PROBLEMS, ceil(num_problems / SLICES_PER_JOB)))


@dataclass(frozen=True)
class Slices:
    """The problems of a job as they are stored."""

    by_number: dict[int, dict[str, Row]]
    """Each slice's problems, in input order."""

    @cached_property
    def rows(self) -> dict[str, Row]:
        """Every problem, in the slice that it belongs to."""
        return {i: row for number in sorted(self.by_number) for i, row in self._items(number)}

    def _items(self, number: int) -> Iterable[tuple[str, Row]]:
        return self.by_number[number].items()

    @cached_property
    def input_ids(self) -> dict[str, str]:
        """The input_id of each problem."""
        return {problem_id: row.input_id for problem_id, row in self.rows.items()}

    @cached_property
    def members(self) -> dict[int, tuple[str, ...]]:
        """The problems that belong to each slice."""
        return {
            number: tuple(i for i, row in rows.items() if self.rows[i].file == row.file)
            for number, rows in self.by_number.items()
        }

    @property
    def next_number(self) -> int:
        return max(self.by_number, default=-1) + 1


def read_slices(folder: Path) -> Slices:
    """The slices in a folder; none where it is absent."""
    files = listed(folder, "slice-*.parquet")
    return Slices(by_number={_number(file): rows for file, rows in indexed(files).items()})


def _number(file: Path) -> int:
    return int(file.stem.removeprefix("slice-"))


def remove_slices(folder: Path) -> None:
    """All of them: for a folder in which a job begins anew."""
    for file in listed(folder, "slice-*.parquet"):
        remove(file)


def add_problems(folder: Path, found: Slices, tables: Iterable[pa.Table], size: int) -> Slices:
    """Puts problems into new slices of `size`, and corrected ones in the place of what they were.

    Problems that are stored already and unchanged are left alone.
    """
    number = found.next_number
    waiting = arrow_schema(ProblemGroup).empty_table()
    corrected: dict[Path, list[pa.Table]] = {}
    for table in tables:
        known = [found.rows.get(i) for i in table["problem_id"].to_pylist()]
        waiting = pa.concat_tables([waiting, _where(table, [row is None for row in known])])
        while len(waiting) >= size:
            _write(folder, number, waiting.slice(0, size))
            number, waiting = number + 1, waiting.slice(size)
        input_ids = table["input_id"].to_pylist()
        for n, row in enumerate(known):
            if row is not None and row.input_id != input_ids[n]:
                corrected.setdefault(row.file, []).append(table.slice(n, 1))
    if len(waiting):
        _write(folder, number, waiting)
    for file, rows in corrected.items():
        _correct(file, pa.concat_tables(rows))
    return read_slices(folder)


def add_late_slice(folder: Path, slices: Slices, problem_ids: Iterable[str]) -> Slices:
    """A slice for problems that had failed when their own were sealed, and are settled now."""
    ids = sorted(problem_ids)
    tables = []
    for file, group in groupby(
        sorted(ids, key=lambda i: slices.rows[i].file.name), key=lambda i: slices.rows[i].file
    ):
        wanted = set(group)
        table = read_table(file, schema=arrow_schema(ProblemGroup))
        tables.append(_where(table, [i in wanted for i in table["problem_id"].to_pylist()]))
    _write(folder, slices.next_number, pa.concat_tables(tables).sort_by("problem_id"))
    return read_slices(folder)


def _where(table: pa.Table, keep: list[bool]) -> pa.Table:
    return table.filter(pa.array(keep, pa.bool_()))


def _write(folder: Path, number: int, table: pa.Table) -> None:
    write_table(folder / f"{slice_name(number)}.parquet", table, row_group_size=256)


def _correct(file: Path, rows: pa.Table) -> None:
    """Rows of one slice in the place of those with the same problem_id."""
    table = read_table(file, schema=arrow_schema(ProblemGroup))
    place_of = {i: n for n, i in enumerate(table["problem_id"].to_pylist())}
    order = list(range(len(table)))
    for n, problem_id in enumerate(rows["problem_id"].to_pylist()):
        order[place_of[problem_id]] = len(table) + n
    write_table(file, pa.concat_tables([table, rows]).take(order), row_group_size=256)
