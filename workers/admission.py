"""Keeps an engine full and no fuller: new work starts when requests in flight run low.

Under KV pressure it is cheaper to finish the open solutions than to open all of them: their
prefixes stay in the cache. So work is admitted in order of arrival, one piece at a time, while
fewer than `window` completions are in flight; what has been admitted is never held back.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar

from schemas.generation import Completion, Prompt, Sampling
from workers.engine import Engine, EngineStats

FULLNESS = 1.5
"""Completions in flight, as a multiple of what the engine computes at a time."""

_TICKET: ContextVar[object] = ContextVar("ticket", default=None)
"""The turn that the running task, or the task it came from, entered last."""


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

        The door stays shut behind whoever entered until its own first requests are out, so that
        those waiting see them; the body may go on for as long as it likes. Requests of tasks that
        the body starts are its own.
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
        _TICKET.set(ticket)
        try:
            yield
        finally:
            self._open_door(ticket)

    def step_aside(self) -> None:
        """Lets the next one in before the first requests: whoever calls waits for another's work.

        Does nothing outside a turn.
        """
        asyncio.get_running_loop().call_soon(self._open_door, _TICKET.get())

    async def complete(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> tuple[Completion, ...]:
        """As `Engine.complete`."""
        self._num_in_flight += len(seeds)
        self.step_aside()
        try:
            return await self._engine.complete(prompt, sampling, seeds)
        finally:
            self._num_in_flight -= len(seeds)
            if self._num_in_flight < self._window:
                self._room.set()

    async def weigh(self, prompt: Prompt, options: Sequence[str]) -> tuple[float, ...]:
        """As `Engine.weigh`."""
        return await self._engine.weigh(prompt, options)

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

    def _open_door(self, ticket: object) -> None:
        if ticket is not None and ticket is self._admitted:
            self._admitted = None
            self._door.release()
