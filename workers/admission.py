"""Keeps an engine full and no fuller: new work starts when requests in flight run low.

Under KV pressure it is cheaper to finish the open solutions than to open all of them: their
prefixes stay in the cache. So work is admitted in order of arrival, one piece at a time, while
fewer than `window` completions are in flight; what has been admitted is never held back.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from schemas.generation import Completion, Prompt, Sampling
from workers.engine import Engine, EngineStats

FULLNESS = 1.5
"""Completions in flight, as a multiple of what the engine computes at a time."""


class Admission:
    """An engine with a door. Belongs to one event loop."""

    def __init__(self, engine: Engine, window: int | None = None) -> None:
        self._engine = engine
        self._window = window or max(1, int(FULLNESS * engine.max_concurrency))
        self._num_in_flight = 0
        self._room = asyncio.Event()
        self._door = asyncio.Lock()
        self._admitted: object | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Entered when there is room for another piece of work.

        The door stays shut behind whoever entered until its first requests are out, so that
        those waiting see them; the body may go on for as long as it likes.
        """
        await self._door.acquire()
        ticket = object()
        try:
            while self._num_in_flight >= self._window:
                self._room.clear()
                await self._room.wait()
        except BaseException:
            self._door.release()
            raise
        self._admitted = ticket
        try:
            yield
        finally:
            if self._admitted is ticket:
                self._open_door()

    async def complete(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> tuple[Completion, ...]:
        """As `Engine.complete`."""
        self._num_in_flight += len(seeds)
        asyncio.get_running_loop().call_soon(self._open_door)
        try:
            return await self._engine.complete(prompt, sampling, seeds)
        finally:
            self._num_in_flight -= len(seeds)
            if self._num_in_flight < self._window:
                self._room.set()

    @property
    def max_concurrency(self) -> int:
        """As `Engine.max_concurrency`."""
        return self._engine.max_concurrency

    def stats(self) -> EngineStats:
        """As `Engine.stats`."""
        return self._engine.stats()

    def close(self) -> None:
        """As `Engine.close`."""
        self._engine.close()

    def _open_door(self) -> None:
        if self._admitted is not None:
            self._admitted = None
            self._door.release()
