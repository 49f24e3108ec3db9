"""vLLM in this process: one thread steps the engine, any number of asyncio tasks wait for it.

The engine's objects are touched by that thread only. What crosses over is whole calls: callers
put them in the inbox, and each step hands the finished ones back with one wake-up per event loop.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count
from typing import Any

from schemas.generation import Completion, Prompt, Sampling
from workers.engine import EngineDead, EngineStats
from workers.vllm_counters import Counters
from workers.vllm_dialect import Dialect
from workers.vllm_watch import watch_for_hang

JOIN_TIMEOUT_S = 30.0
CLOSED = "the engine was closed"


class _Call:
    """One call: its requests, how an output is read, and the answers so far."""

    __slots__ = ("answers", "future", "loop", "num_missing", "read", "request_ids", "requests")

    def __init__(self, requests: list[tuple[Any, Any]], read: Callable[[Any], Any]) -> None:
        """`read` gives None for an output without an answer."""
        self.requests = requests
        self.read = read
        self.request_ids: list[str] = []
        self.answers: list[Any] = [None] * len(requests)
        self.num_missing = len(requests)
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[tuple[Any, ...]] = self.loop.create_future()


class ThreadEngine:
    """The engine protocol over an in-process LLMEngine (add_request, abort_request, step)."""

    def __init__(
        self,
        engine: Any,
        dialect: Dialect,
        counters: Counters,
        *,
        max_concurrency: int,
        hang_timeout_s: float,
        release: Callable[[], None],
        prepare_thread: Callable[[], None] | None = None,
    ) -> None:
        """`release` frees the model; called by `close` once the thread has left the engine.

        `prepare_thread` is run first thing by the thread, for settings that are kept per thread.
        """
        self._engine = engine
        self._dialect = dialect
        self._counters = counters
        self._max_concurrency = max_concurrency
        self._release = release
        self._prepare_thread = prepare_thread or _nothing
        self._names = count()

        self._wake = threading.Condition()  # guards the four below
        self._arrived: list[_Call] = []
        self._cancelled: list[_Call] = []
        self._open: set[_Call] = set()
        self._dead: str | None = None

        self._running: dict[str, tuple[_Call, int]] = {}  # the thread's own
        self._stop_watching = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-steps", daemon=True)
        self._thread.start()
        watch_for_hang(
            lambda: self.stats().num_generated_tokens if self._open else None,
            timeout_s=hang_timeout_s,
            stop=self._stop_watching,
            on_hang=self._die,
        )

    @property
    def max_concurrency(self) -> int:
        return self._max_concurrency

    def stats(self) -> EngineStats:
        return self._counters.stats()

    async def complete(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> tuple[Completion, ...]:
        if self._dead is not None:
            raise EngineDead(self._dead)
        if not seeds:
            return ()
        requests = self._dialect.requests(prompt, sampling, seeds)
        return await self._answers(_Call(requests, self._dialect.completion))

    async def weigh(self, prompt: Prompt, options: Sequence[str]) -> tuple[float, ...]:
        if self._dead is not None:
            raise EngineDead(self._dead)
        request, params, tokens = self._dialect.choice(prompt, options)
        read = partial(self._dialect.log_probabilities, tokens=tokens)
        [weights] = await self._answers(_Call([(request, params)], read))
        return tuple(weights)

    def close(self) -> None:
        self._die(CLOSED)
        self._thread.join(JOIN_TIMEOUT_S)
        if self._thread.is_alive():
            return  # stuck inside the engine, whose memory is then the process's to free
        self._engine = None
        release, self._release = self._release, _nothing
        release()

    # On the callers' side

    async def _answers(self, call: _Call) -> tuple[Any, ...]:
        self._submit(call)
        try:
            return await call.future
        except asyncio.CancelledError:
            self._cancel(call)
            raise

    def _submit(self, call: _Call) -> None:
        with self._wake:
            if self._dead is not None:
                raise EngineDead(self._dead)
            self._counters.num_requests += call.num_missing
            self._open.add(call)
            self._arrived.append(call)
            self._wake.notify()

    def _cancel(self, call: _Call) -> None:
        with self._wake:
            self._open.discard(call)
            self._cancelled.append(call)
            self._wake.notify()

    def _die(self, message: str) -> None:
        """Answer every open call and all later ones with EngineDead; the first message stays."""
        with self._wake:
            if self._dead is None:
                self._dead = message
            calls, self._open = self._open, set()
            self._wake.notify()
        self._stop_watching.set()
        for call in calls:
            _tell(call.loop, _reject, call, EngineDead(message))

    # On the thread's side

    def _run(self) -> None:
        try:
            self._prepare_thread()
            while self._take_in():
                self._hand_back(self._engine.step())
        except Exception as error:
            self._die(f"the engine failed: {type(error).__name__}: {error}")
        self._running.clear()

    def _take_in(self) -> bool:
        """Pass new and cancelled calls to the engine; sleep while there is nothing to do."""
        with self._wake:
            while not (self._arrived or self._cancelled or self._running or self._dead):
                self._wake.wait()
            if self._dead is not None:
                return False
            arrived, self._arrived = self._arrived, []
            cancelled, self._cancelled = self._cancelled, []
        for call in arrived:
            self._add(call)
        for call in cancelled:
            self._abort(call)
        return True

    def _add(self, call: _Call) -> None:
        try:
            for index, (tokens, params) in enumerate(call.requests):
                request_id = str(next(self._names))
                self._engine.add_request(request_id, tokens, params)
                call.request_ids.append(request_id)
                self._running[request_id] = (call, index)
        except Exception as error:
            if not self._dialect.is_bad_request(error):
                raise
            self._abort(call)
            self._give_up(call, ValueError(str(error)))

    def _abort(self, call: _Call) -> None:
        unfinished = [name for name in call.request_ids if self._running.pop(name, None)]
        if unfinished:
            self._engine.abort_request(unfinished)

    def _give_up(self, call: _Call, error: Exception) -> None:
        with self._wake:
            self._open.discard(call)
        _tell(call.loop, _reject, call, error)

    def _hand_back(self, outputs: Iterable[Any]) -> None:
        done: defaultdict[asyncio.AbstractEventLoop, list[_Call]] = defaultdict(list)
        for output in outputs:
            call, index = self._running.pop(output.request_id)
            answer = call.read(output)
            if answer is None:
                raise RuntimeError(f"vLLM ended request {output.request_id} without an answer")
            call.answers[index] = answer
            call.num_missing -= 1
            if call.num_missing == 0:
                done[call.loop].append(call)
        if not done:
            return
        with self._wake:
            self._open.difference_update(*done.values())
        for loop, calls in done.items():
            _tell(loop, _answer, calls)


def _nothing() -> None:
    pass


def _answer(calls: list[_Call]) -> None:
    for call in calls:
        if not call.future.done():
            call.future.set_result(tuple(call.answers))


def _reject(call: _Call, error: Exception) -> None:
    if not call.future.done():
        call.future.set_exception(error)


def _tell(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: Any) -> None:
    """Run `function` in the loop; if the loop has closed, nobody is waiting any more."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise
