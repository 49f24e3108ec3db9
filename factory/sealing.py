"""Seals slices while a job runs: what is wholly settled is written together, labelled, published.

The order survives a kill at any point: the slice's evidence in one file, its shards, its seal, and
last the dataset's manifest. Whatever is missing is made again, from the same rows to the same
bytes. A slice with failed problems is sealed without them when the run ends; what becomes of them
later is published in a slice of its own, so that a sealed shard never changes.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from factory.ending import Ending
from factory.job_folder import JobFolder
from factory.publish import described, remove_unlisted, write_documents
from factory.seals import (
    Seal,
    content_of,
    failed_summary,
    read_seals,
    summary_of,
    with_shard,
    write_seal,
)
from factory.shards import DATA, Rule, write_empty_shard, write_slice
from factory.slices import Slices, add_late_slice
from factory.stored import StoredRows, groups_in
from factory.watching.events import event
from schemas.manifest import Manifest, ShardEntry, read_manifest
from schemas.records import ProblemGroup

POLL_S = 5.0
PATIENCE_S = 60.0
"""Storage may be away for so long before the job ends: what waits to be sealed is safe."""


class _Stopped(Exception):
    """The job ends: the slice at hand is left for the next run."""


class Sealer:
    """The slices of one job, of which the last stage is or was running."""

    def __init__(
        self,
        folder: JobFolder,
        slices: Slices,
        stored: StoredRows,
        rule: Rule,
        *,
        rows_per_row_group: int,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._may_write = may_write
        self._folder = folder
        self._slices = slices
        self._stored = stored
        self._rule = rule
        self._rows_per_row_group = rows_per_row_group
        self._seals = read_seals(folder.seals)
        self._stop = threading.Event()

    @contextmanager
    def beside(
        self,
        manifest: Manifest,
        ending: Ending,
        poll_s: float = POLL_S,
        patience_s: float = PATIENCE_S,
    ) -> Iterator[None]:
        """Seals in a thread of its own; what goes wrong there, and stays so, ends the job."""

        def run() -> None:
            trouble_s: float | None = None
            while not self._stop.wait(poll_s):
                try:
                    self._stored.look()
                    self.seal_settled(manifest)
                    trouble_s = None
                except _Stopped:
                    return
                except OSError as error:  # tried again: everything here may be done twice
                    trouble_s = trouble_s or time.monotonic()
                    if time.monotonic() - trouble_s >= patience_s:
                        ending.fail(error)
                        return
                except BaseException as error:
                    ending.fail(error)
                    return

        self._stop.clear()
        thread = threading.Thread(target=run, name="sealer", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            self._stop.clear()

    def open(self, manifest: Manifest) -> None:
        """Lists what earlier runs have sealed, and that more is to come if it is."""
        published = read_manifest(self._folder.dataset)
        event("sealed before", num_sealed=len(self._shards()))
        if self._seals and not (published and published.is_complete and not self._unsealed()):
            self._publish(manifest, is_complete=False)

    def seal_settled(self, manifest: Manifest) -> int:
        """Seals every slice of which nothing is left to do, and lists it; returns how many. None in
        a folder that is not this run's any more."""
        num_sealed = 0
        for number in self._unsealed():
            if not self._may_write():
                break
            if all(map(self._stored.is_settled, self._slices.members[number])):
                self._seal(number)
                self._publish(manifest, is_complete=False)
                num_sealed += 1
        return num_sealed

    def finish(self, manifest: Manifest) -> Manifest:
        """Seals what is left, without what has failed, and says that the dataset is complete."""
        for number in self._unsealed():
            self._seal(number)
        if late := self._late():
            number = self._slices.next_number
            self._slices = add_late_slice(self._folder.problems, self._slices, late)
            self._seal(number)
        self._stored.remove_done()
        if not any(shard.path.startswith(f"{DATA}/") for shard in self._shards()):
            first = min(self._seals)
            empty = write_empty_shard(first, self._folder.dataset)
            self._keep(with_shard(self._seals[first], empty))
        manifest = self._publish(manifest, is_complete=True)
        remove_unlisted(self._folder.dataset, {shard.path for shard in manifest.shards})
        return manifest

    def _unsealed(self) -> list[int]:
        return [
            number
            for number in sorted(self._slices.members)
            if number not in self._seals or not self._seals[number].holds(self._slices)
        ]

    def _late(self) -> list[str]:
        """Problems that a sealed slice lacks, and that are settled now."""
        return [
            problem_id
            for number, seal in self._seals.items()
            for problem_id in seal.omitted
            if problem_id in self._slices.members[number] and self._stored.is_settled(problem_id)
        ]

    def _seal(self, number: int) -> None:
        members = self._slices.members[number]
        settled = [i for i in members if self._stored.is_settled(i)]
        failed = [i for i in members if not self._stored.is_settled(i)]
        self._stored.compact(number, settled)
        made = write_slice(
            self._unless_stopped(groups_in(self._stored.rows, settled)),
            number,
            self._folder.dataset,
            self._rule,
            rows_per_row_group=self._rows_per_row_group,
        )
        omitted = {g.problem_id: failed_summary(g) for g in groups_in(self._stored.rows, failed)}
        self._keep(
            Seal(
                number=number,
                content=content_of(settled, self._slices.input_ids),
                shards=made.shards,
                summary=made.summary.as_dict(),
                omitted=omitted,
            )
        )

    def _unless_stopped(self, groups: Iterable[ProblemGroup]) -> Iterator[ProblemGroup]:
        for group in groups:
            if self._stop.is_set():
                raise _Stopped
            yield group

    def _keep(self, seal: Seal) -> None:
        write_seal(self._folder.seals, seal)
        self._seals[seal.number] = seal
        num_sealed = len(self._shards())
        for shard in seal.shards:
            event("shard sealed", path=shard.path, rows=shard.num_rows, num_sealed=num_sealed)

    def _shards(self) -> list[ShardEntry]:
        return [shard for _, seal in sorted(self._seals.items()) for shard in seal.shards]

    def _publish(self, manifest: Manifest, *, is_complete: bool) -> Manifest:
        """Lists the sealed shards. While there is no row to load there is no dataset either."""
        shards = self._shards()
        manifest = described(
            replace(manifest, num_problems=len(self._slices.rows)),
            summary_of(self._seals, self._slices),
            shards,
            is_complete=is_complete,
        )
        if is_complete or any(shard.path.startswith(f"{DATA}/") for shard in shards):
            write_documents(self._folder.dataset, manifest, "parquet")
        return manifest
