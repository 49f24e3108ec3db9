"""An engine without a model that depends on a process of its own, which can be killed or stopped.

Every call goes through the process (`cat`) and back before it is answered. When the process is
gone the engine is dead; when it is stopped nothing comes back, and the factory's own watch for
hanging engines has to notice.
"""

import asyncio
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

from factory.bench.scripted_world import reply
from schemas.generation import Completion, Prompt, Sampling
from schemas.ids import seed_from
from workers.engine import EngineDead, EngineStats
from workers.vllm_watch import watch_for_hang

HANG_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFragile:
    """Opens the engine; runs inside the worker."""

    delay_s: float

    def __call__(self) -> "FragileEngine":
        return FragileEngine(self.delay_s)


class FragileEngine:
    """The engine protocol; what it writes is `scripted_world`'s and depends on the seed alone."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._stats = EngineStats()
        self._names = count()
        self._open: dict[int, asyncio.Future[None]] = {}
        self._lock = threading.Lock()
        self._dead: str | None = None
        # It ends by itself when this process is gone: its input closes.
        self._core = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self._listen, daemon=True).start()
        watch_for_hang(
            lambda: self._stats.num_generated_tokens if self._open else None,
            timeout_s=HANG_TIMEOUT_S,
            stop=threading.Event(),
            on_hang=self._die,
        )

    @property
    def max_concurrency(self) -> int:
        return 256

    def stats(self) -> EngineStats:
        return self._stats

    def close(self) -> None:
        self._die("the engine was closed")
        self._core.kill()

    async def complete(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> tuple[Completion, ...]:
        await self._there_and_back()
        late = seed_from(*seeds, prompt.prefix) % 1000 / 1000
        await asyncio.sleep(self._delay_s * (0.5 + late))
        if self._dead:
            raise EngineDead(self._dead)
        completions = tuple(reply(prompt, seed) for seed in seeds)
        tokens = sum(completion.num_tokens for completion in completions)
        stats = self._stats
        self._stats = replace(
            stats,
            num_requests=stats.num_requests + len(seeds),
            num_finished=stats.num_finished + len(seeds),
            num_generated_tokens=stats.num_generated_tokens + tokens,
        )
        return completions

    async def _there_and_back(self) -> None:
        answer = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._dead:
                raise EngineDead(self._dead)
            name = next(self._names)
            self._open[name] = answer
        assert self._core.stdin is not None
        try:
            self._core.stdin.write(b"%d\n" % name)
            self._core.stdin.flush()
        except OSError as error:
            self._die(f"the engine's process is gone: {error}")
        await answer

    def _listen(self) -> None:
        assert self._core.stdout is not None
        for line in self._core.stdout:
            with self._lock:
                answer = self._open.pop(int(line), None)
            if answer is not None:
                answer.get_loop().call_soon_threadsafe(_settle, answer, None)
        self._die("the engine's process is gone")

    def _die(self, message: str) -> None:
        with self._lock:
            self._dead = self._dead or message
            answers, self._open = list(self._open.values()), {}
        for answer in answers:
            answer.get_loop().call_soon_threadsafe(_settle, answer, EngineDead(message))


def _settle(answer: asyncio.Future[None], error: Exception | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(None)
    else:
        answer.set_exception(error)
