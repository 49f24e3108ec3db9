"""What a stage has stored: one index that reads each file once and follows the stage as it runs.

A row in a settled slice is final for the input it was made from: neither a batch that is done a
second time nor one that failed earlier changes it. Of other rows the last pass's counts.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from factory.stage_folder import StageFolder, pass_number
from schemas.arrow import arrow_schema, from_row
from schemas.files import read_table, remove, write_table
from schemas.records import ProblemGroup, Status

FILES_READ_TOGETHER = 16
"""An object store answers each request slowly and many at once fast."""
ROWS_PER_ROW_GROUP = 256
"""So that Ray Data reads a settled slice a piece at a time."""
INDEXED = ("problem_id", "input_id", "status")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Where a problem's row is, and what is known of it without reading all of it."""

    file: Path
    input_id: str
    status: Status


def rows_in(files: Iterable[Path]) -> dict[str, Row]:
    """The problems of these files; where several hold one, the last does."""
    found: dict[str, Row] = {}
    for rows in indexed(list(files)).values():
        found |= rows
    return found


def groups_in(rows: Mapping[str, Row], problem_ids: Iterable[str]) -> Iterator[ProblemGroup]:
    """These problems' groups by problem_id; a few records at a time, as Arrow is far smaller."""
    for batch in table_of(rows, problem_ids).to_batches(max_chunksize=64):
        for row in batch.to_pylist():
            yield from_row(ProblemGroup, row)


def table_of(rows: Mapping[str, Row], problem_ids: Iterable[str]) -> pa.Table:
    """These problems' rows, sorted by problem_id."""
    by_file: dict[Path, list[str]] = {}
    for problem_id in problem_ids:
        by_file.setdefault(rows[problem_id].file, []).append(problem_id)

    def read(file: Path) -> pa.Table:
        table = read_table(file, schema=arrow_schema(ProblemGroup))
        wanted = set(by_file[file])
        return table.filter(pa.array([i in wanted for i in _ids(table)], pa.bool_()))

    with ThreadPoolExecutor(FILES_READ_TOGETHER) as pool:
        tables = list(pool.map(read, by_file))
    schema = arrow_schema(ProblemGroup)
    return pa.concat_tables(tables).sort_by("problem_id") if tables else schema.empty_table()


def _ids(table: pa.Table) -> list[str]:
    ids = table.column("problem_id").to_pylist()
    assert isinstance(ids, list)
    return ids


def indexed(files: list[Path]) -> dict[Path, dict[str, Row]]:
    """The problems of each file, in its order."""

    def read(file: Path) -> dict[str, Row]:
        columns = (read_table(file, columns=INDEXED)[name].to_pylist() for name in INDEXED)
        return {
            problem_id: Row(file=file, input_id=input_id, status=Status(status))
            for problem_id, input_id, status in zip(*columns, strict=True)
        }

    with ThreadPoolExecutor(FILES_READ_TOGETHER) as pool:
        return dict(zip(files, pool.map(read, files), strict=True))


class StoredRows:
    """The index of one stage's folder; `rows` says where each problem's row is.

    Two threads may use it: a file one of them has listed is not removed before it is read.
    """

    def __init__(self, folder: StageFolder, current: Mapping[str, str] | None = None) -> None:
        """`current`: the input_id of each problem as the job knows it now."""
        self._folder = folder
        self._lock = threading.RLock()
        self._current = current or {}
        self._seen: set[Path] = set()
        self._settled: dict[str, Row] = {}
        self._passed: dict[str, Row] = {}
        self._ids_of_batch: dict[Path, tuple[str, ...]] = {}
        self.rows: dict[str, Row] = {}
        self._take_settled(folder.settled())
        self.look()

    def look(self) -> None:
        """Reads what workers have stored since."""
        with self._lock:
            new = [file for file in self._folder.batches() if file not in self._seen]
            for file, rows in indexed(new).items():
                self._take_batch(file, rows)

    def _take_batch(self, file: Path, rows: Mapping[str, Row]) -> None:
        self._seen.add(file)
        self._ids_of_batch[file] = tuple(rows)
        for problem_id, row in rows.items():
            known = self._passed.get(problem_id)
            if known is None or _pass_of(row) >= _pass_of(known):
                self._passed[problem_id] = row
                self._choose(problem_id)

    def _take_settled(self, files: list[Path]) -> None:
        for rows in indexed(files).values():
            self._settled |= rows
            for problem_id in rows:
                self._choose(problem_id)

    def _choose(self, problem_id: str) -> None:
        settled, passed = self._settled.get(problem_id), self._passed.get(problem_id)
        is_final = settled is not None and settled.input_id == self._current.get(
            problem_id, settled.input_id
        )
        chosen = settled if is_final else passed or settled
        assert chosen is not None
        self.rows[problem_id] = chosen

    def is_settled(self, problem_id: str) -> bool:
        """Whether nothing is left to do for the problem as it is now: no failed one is settled."""
        row = self.rows.get(problem_id)
        if row is None or row.status is Status.FAILED:
            return False
        return row.input_id == self._current.get(problem_id, row.input_id)

    def compact(self, number: int, problem_ids: Iterable[str]) -> None:
        """Writes the settled ones of a slice's problems into one file.

        Batches of which nothing is needed any more are removed after that: a run that is killed
        in between finds the same rows twice.
        """
        with self._lock:
            self._compact(self._folder.settled_file(number), problem_ids)

    def _compact(self, file: Path, problem_ids: Iterable[str]) -> None:
        wanted = [i for i in problem_ids if self.is_settled(i)]
        if all(self.rows[i].file == file for i in wanted):
            return
        batches = {self.rows[i].file for i in wanted}
        table = table_of(self.rows, wanted)
        write_table(file, table, row_group_size=ROWS_PER_ROW_GROUP)
        self._take_settled([file])
        for batch in batches:
            self._remove_if_done(batch)

    def remove_done(self) -> None:
        """Removes every batch of which nothing is needed any more."""
        with self._lock:
            for batch in list(self._ids_of_batch):
                self._remove_if_done(batch)

    def _remove_if_done(self, batch: Path) -> None:
        ids = self._ids_of_batch.get(batch)
        if ids is not None and all(self.rows[i].file != batch for i in ids):
            remove(batch)
            del self._ids_of_batch[batch]


def _pass_of(row: Row) -> int:
    return pass_number(row.file.parent)
