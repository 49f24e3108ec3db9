"""Finding the group that kills engines: deaths are written down, suspects work alone.

Before a batch starts it leaves a mark, and removes it when it ends. A mark left by a worker that
is gone is a death in which the batch may have had its part: the engine's where the worker has
written that beside the mark, else the worker's, by a crash in its own process as well as by a node
that was taken back. After `DEATHS_TO_SUSPECT` of either kind the batch's groups run one at a time
while nothing else runs, each with a mark of its own, until the batch is stored: suspects that took
turns would use up a worker's restarts before any of their batches is done. A group fails over
which, while it was alone, `ENGINES_TO_FAIL` engines died or, as most workers go for reasons of
their own, `DEATHS_TO_FAIL` of both kinds came together.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from schemas.files import is_local, listed, remove, write_atomically
from schemas.ids import content_id
from workers.store import patiently

DEATHS_TO_SUSPECT = 2
ENGINES_TO_FAIL = 2
DEATHS_TO_FAIL = 6
ENGINE_DIED = ".engine-died"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deaths:
    """What happened over one batch, or over one group while it was alone."""

    num_engines: int
    num_workers: int
    """Without a word of the engine's."""

    @property
    def num_all(self) -> int:
        return self.num_engines + self.num_workers

    @property
    def are_suspicious(self) -> bool:
        return self.num_all >= DEATHS_TO_SUSPECT

    @property
    def are_too_many(self) -> bool:
        return self.num_engines >= ENGINES_TO_FAIL or self.num_all >= DEATHS_TO_FAIL

    def __str__(self) -> str:
        engines = [f"the engine died {self.num_engines} times"] if self.num_engines else []
        workers = [f"{self.num_workers} workers were lost"] if self.num_workers else []
        return f"{' and '.join(engines + workers)} while this problem ran alone"


class Suspects:
    """The marks of one worker, and the order of who runs beside whom."""

    def __init__(self, folder: Path, incarnation: str) -> None:
        self._folder = folder
        self._incarnation = incarnation
        self._marks: set[Path] = set()
        self._changed = asyncio.Condition()
        self._num_together = 0
        self._is_one_alone = False

    async def deaths(self, name: str) -> Deaths:
        """Of other workers, while this was running."""
        marks = await patiently(partial(listed, self._folder, f"{_safe(name)}.*"))
        engines = {mark.stem for mark in marks if mark.suffix == ENGINE_DIED}
        workers = {mark.name for mark in marks if mark.suffix != ENGINE_DIED} - engines
        ours = f"{_safe(name)}.{self._incarnation}"
        return Deaths(num_engines=len(engines - {ours}), num_workers=len(workers - {ours}))

    async def engine_died(self) -> None:
        """Writes it beside the marks of all that was running; where that fails the worker is
        counted as lost."""
        for mark in list(self._marks):
            with suppress(OSError):
                await asyncio.to_thread(_leave, mark.with_name(mark.name + ENGINE_DIED))

    @asynccontextmanager
    async def together(self, name: str) -> AsyncIterator[None]:
        """Runs beside others, never beside a suspect."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._is_one_alone)
            self._num_together += 1
        try:
            async with self.marked(name):
                yield
        finally:
            async with self._changed:
                self._num_together -= 1
                self._changed.notify_all()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Runs while nothing else does."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._is_one_alone and self._num_together == 0)
            self._is_one_alone = True
        try:
            yield
        finally:
            async with self._changed:
                self._is_one_alone = False
                self._changed.notify_all()

    @asynccontextmanager
    async def marked(self, name: str) -> AsyncIterator[None]:
        """The mark goes when the body ends well, and stays when it raises."""
        mark = self._folder / f"{_safe(name)}.{self._incarnation}"
        await patiently(partial(_leave, mark))
        self._marks.add(mark)
        yield
        self._marks.discard(mark)
        await asyncio.to_thread(self._remove_marks, name)

    def _remove_marks(self, name: str) -> None:
        """What it ran is not stored yet and must not be lost over a mark that stays."""
        with suppress(OSError):
            for left in listed(self._folder, f"{_safe(name)}.*"):
                remove(left)


def acquit(folder: Path, incarnations: Collection[str]) -> None:
    """Removes the marks of workers that were ended though they were well."""
    for mark in listed(folder, "*.*"):
        if mark.name.partition(".")[2] in incarnations:
            remove(mark)


def _leave(mark: Path) -> None:
    """Not synced: it has to outlive the process, not the machine. In a pass's folder, which is
    there."""
    if is_local(mark):
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
    else:
        write_atomically(mark, "")


def _safe(name: str) -> str:
    return content_id(name)
