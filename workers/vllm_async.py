"""vLLM in processes of its own, driven from one event loop: the host for GPUs."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any

from schemas.generation import Completion, Prompt, Sampling
from workers.engine import EngineDead, EngineStats
from workers.vllm_counters import Counters
from workers.vllm_dialect import Dialect
from workers.vllm_watch import watch_for_hang

CLOSED = "the engine was closed"


class AsyncEngine:
    """The engine protocol over `vllm`'s AsyncLLM. All calls must come from one event loop."""

    def __init__(
        self,
        engine: Any,
        dialect: Dialect,
        counters: Counters,
        *,
        max_concurrency: int,
        hang_timeout_s: float,
        release: Callable[[], None],
    ) -> None:
        """`release` ends vLLM's processes; called by `close`."""
        self._engine = engine
        self._dialect = dialect
        self._counters = counters
        self._max_concurrency = max_concurrency
        self._release = release
        self._names = count()
        self._open: set[asyncio.Future[list[Any]]] = set()
        self._dead: str | None = None
        self._stop_watching = threading.Event()
        watch_for_hang(
            lambda: self.stats().num_generated_tokens if self._open else None,
            timeout_s=hang_timeout_s,
            stop=self._stop_watching,
            on_hang=self._die_from_outside,
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
        return await self._answers(requests, self._dialect.completion)

    async def weigh(self, prompt: Prompt, options: Sequence[str]) -> tuple[float, ...]:
        if self._dead is not None:
            raise EngineDead(self._dead)
        request, params, tokens = self._dialect.choice(prompt, options)
        read = partial(self._dialect.log_probabilities, tokens=tokens)
        [weights] = await self._answers([(request, params)], read)
        return tuple(weights)

    async def _answers(
        self, requests: list[tuple[Any, Any]], read: Callable[[Any], Any]
    ) -> tuple[Any, ...]:
        self._counters.num_requests += len(requests)
        tasks = [asyncio.ensure_future(self._one(*request, read)) for request in requests]
        answer = asyncio.gather(*tasks)
        self._open.add(answer)
        try:
            return tuple(await answer)
        except asyncio.CancelledError:
            if self._dead is None or _is_being_cancelled():
                raise
            raise EngineDead(self._dead) from None
        finally:
            self._open.discard(answer)
            for task in tasks:
                task.cancel()

    async def _one(self, tokens: Any, params: Any, read: Callable[[Any], Any]) -> Any:
        try:
            async for output in self._engine.generate(tokens, params, str(next(self._names))):
                if (answer := read(output)) is not None:
                    return answer
        except Exception as error:
            if self._dialect.is_bad_request(error):
                raise ValueError(str(error)) from None
            self._die(f"the engine failed: {_root(error)}")
        self._die("vLLM ended a request without an answer")
        raise EngineDead(self._dead)

    def close(self) -> None:
        self._die(CLOSED)
        release, self._release = self._release, lambda: None
        release()

    def _die(self, message: str) -> None:
        """Answer every open call and all later ones with EngineDead; the first message stays."""
        if self._dead is None:
            self._dead = message
        self._stop_watching.set()
        for answer in list(self._open):
            answer.cancel()

    def _die_from_outside(self, message: str) -> None:
        for answer in list(self._open)[:1]:
            answer.get_loop().call_soon_threadsafe(self._die, message)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _root(error: BaseException) -> str:
    """vLLM wraps what happened in errors that only point at a log."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"
