"""The index of a stage while it is written, read and cleared at the same time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pyarrow as pa

from factory.stage_folder import StageFolder
from factory.stored import StoredRows
from schemas.arrow import arrow_schema, to_row
from schemas.records import ProblemGroup
from tests.factory.builders import group
from workers.store import write_groups


class Held(list[Path]):
    """Who walks through it gets stuck at the end, until somebody else has done what he wanted."""

    def __init__(self, files: list[Path], is_read: Event, go_on: Event) -> None:
        super().__init__(files)
        self._is_read, self._go_on = is_read, go_on

    def __iter__(self) -> Iterator[Path]:
        yield from super().__iter__()
        if self and not self._is_read.is_set():
            self._is_read.set()
            self._go_on.wait(0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow(StageFolder):
    is_listed: Event
    go_on: Event

    def batches(self) -> list[Path]:
        return Held(StageFolder.batches(self), self.is_listed, self.go_on)


def test_a_batch_that_one_thread_has_listed_is_not_removed_before_it_is_read(
    tmp_path: Path,
) -> None:
    stage = Slow(path=tmp_path, is_listed=Event(), go_on=Event())
    groups = [group(name) for name in "abcd"]
    stored = StoredRows(stage, {g.problem_id: g.input_id for g in groups})
    rows = pa.Table.from_pylist([to_row(g) for g in groups], schema=arrow_schema(ProblemGroup))
    write_groups(stage.open_pass(), rows)

    def seal() -> None:
        stage.is_listed.wait()
        stored.look()
        stored.compact(0, [g.problem_id for g in groups])
        stage.go_on.set()

    with ThreadPoolExecutor() as threads:
        sealing = threads.submit(seal)
        stored.look()
        sealing.result()
    assert all(stored.is_settled(g.problem_id) for g in groups)
    assert stage.batches() == []
