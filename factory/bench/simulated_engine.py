"""An engine that takes as long as a real one and computes nothing: for measuring what is around it.

It has so many slots. A completion waits for a free one and then takes its tokens over the speed of
a sequence: the engine's throughput shared by the slots in use when it starts, and no more than one
sequence can have alone.
"""

import asyncio
import heapq
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from schemas.generation import Completion, Prompt, Sampling
from workers.engine import EngineStats

WRITE_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast the simulated engine is, in its own time."""

    num_slots: int = 256
    tokens_per_s: float = 2_500.0
    """With every slot in use."""
    tokens_per_s_alone: float = 60.0
    """Of a sequence, at most."""
    num_engines: int = 1
    """Engines of this kind hosted as one."""
    time_scale: float = 1.0
    """Seconds of the engine's time that pass in one of ours."""


@dataclass(slots=True, kw_only=True)
class Costs:
    """CPU seconds of this process, written down for whoever measures."""

    planning_s: float = 0.0
    num_plans: int = 0
    simulating_s: float = 0.0
    process_s: float = 0.0
    """Everything since the engine was opened: imports are not in it."""
    num_completions: int = 0


COSTS = Costs()
"""Of this worker process: planners and engines in it add to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSimulated:
    """Opens the engine; runs inside the worker."""

    reply: Callable[[Prompt, int], Completion]
    speed: Speed
    costs_folder: Path

    def __call__(self) -> "SimulatedEngine":
        return SimulatedEngine(self.reply, self.speed, self.costs_folder)


class SimulatedEngine:
    """The engine protocol; `reply` says what is written."""

    def __init__(
        self, reply: Callable[[Prompt, int], Completion], speed: Speed, costs_folder: Path
    ) -> None:
        self._reply = reply
        self._speed = speed
        self._stats = EngineStats()
        self._free_at = [0.0] * self.max_concurrency
        """When each slot is free again, in the engine's time; a heap."""
        self._costs_file = costs_folder / f"{os.getpid()}.json"
        self._written_s = 0.0
        self._opened_s = time.process_time()
        costs_folder.mkdir(parents=True, exist_ok=True)

    @property
    def max_concurrency(self) -> int:
        return self._speed.num_slots * self._speed.num_engines

    async def complete(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> tuple[Completion, ...]:
        started_s = time.thread_time()
        completions = tuple(self._reply(prompt, seed) for seed in seeds)
        now = self._now()
        ends = max((self._ends_at(now, c.num_tokens) for c in completions), default=now)
        COSTS.simulating_s += time.thread_time() - started_s
        await asyncio.sleep((ends - now) / self._speed.time_scale)
        self._count(prompt, completions)
        return completions

    def stats(self) -> EngineStats:
        return self._stats

    def close(self) -> None:
        """There is nothing to let go of."""

    def _now(self) -> float:
        return time.monotonic() * self._speed.time_scale

    def _ends_at(self, now: float, num_tokens: int) -> float:
        starts = max(now, self._free_at[0])
        # A heap's leaves are in no order, but a sample of slots tells how many are in use.
        sample = self._free_at[:: max(1, len(self._free_at) // 64)]
        busy = max(1, round(self._speed.num_slots * sum(f > starts for f in sample) / len(sample)))
        speed = min(self._speed.tokens_per_s_alone, self._speed.tokens_per_s / busy)
        ends = starts + num_tokens / speed
        heapq.heapreplace(self._free_at, ends)
        return ends

    def _count(self, prompt: Prompt, completions: Sequence[Completion]) -> None:
        stats, num = self._stats, len(completions)
        tokens = sum(completion.num_tokens for completion in completions)
        self._stats = replace(
            stats,
            num_requests=stats.num_requests + num,
            num_finished=stats.num_finished + num,
            num_prompt_tokens=stats.num_prompt_tokens + num * len(prompt.prefix) // 4,
            num_generated_tokens=stats.num_generated_tokens + tokens,
        )
        COSTS.num_completions += num
        if time.monotonic() - self._written_s > WRITE_INTERVAL_S:
            self._written_s = time.monotonic()
            COSTS.process_s = time.process_time() - self._opened_s
            temporary = self._costs_file.with_suffix(".tmp")
            temporary.write_text(json.dumps(asdict(COSTS)))
            temporary.replace(self._costs_file)
