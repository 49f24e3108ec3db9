"""Finding the group that kills engines: deaths are written down, suspects work alone.

Before a batch starts it leaves a mark, and removes it when it ends. A mark left by a worker that
is gone is a death in which the batch may have had its part. After `DEATHS_TO_SUSPECT` of them its
groups run one at a time while nothing else runs, each with a mark of its own; a group whose worker
dies `DEATHS_TO_FAIL` times while it is alone fails.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from schemas.files import listed, make_folder, remove
from schemas.ids import content_id

DEATHS_TO_SUSPECT = 2
DEATHS_TO_FAIL = 2


class Suspects:
    """The marks of one worker, and the order of who runs beside whom."""

    def __init__(self, folder: Path, incarnation: str) -> None:
        self._folder = folder
        self._incarnation = incarnation
        self._changed = asyncio.Condition()
        self._num_together = 0
        self._is_one_alone = False

    async def num_deaths(self, name: str) -> int:
        """How many workers died while this was running."""
        marks = await asyncio.to_thread(listed, self._folder, f"{_safe(name)}.*")
        return sum(mark.suffix != f".{self._incarnation}" for mark in marks)

    @asynccontextmanager
    async def together(self, name: str) -> AsyncIterator[None]:
        """Runs beside others, never beside a suspect."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._is_one_alone)
            self._num_together += 1
        try:
            async with self._marked(name):
                yield
        finally:
            async with self._changed:
                self._num_together -= 1
                self._changed.notify_all()

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """Runs while nothing else does."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._is_one_alone and self._num_together == 0)
            self._is_one_alone = True
        try:
            async with self._marked(name):
                yield
        finally:
            async with self._changed:
                self._is_one_alone = False
                self._changed.notify_all()

    @asynccontextmanager
    async def _marked(self, name: str) -> AsyncIterator[None]:
        """The mark goes when the body ends well, and stays when it raises."""
        mark = self._folder / f"{_safe(name)}.{self._incarnation}"
        await asyncio.to_thread(make_folder, self._folder)
        await asyncio.to_thread(mark.touch)
        yield
        await asyncio.to_thread(self._remove_marks, name)

    def _remove_marks(self, name: str) -> None:
        for left in listed(self._folder, f"{_safe(name)}.*"):
            remove(left)


def _safe(name: str) -> str:
    return content_id(name)
