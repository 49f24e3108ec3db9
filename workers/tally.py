"""Counters of a running stage, gathered from its workers: what progress is shown from."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from workers.counting import ProgramCounts
from workers.engine import EngineLoad, EngineStats
from workers.process import Process

MAX_RECENT = 20
"""Failed groups that a worker's counts name; all of them are counted."""


MAX_QUIET_S = 15.0
"""A worker that is well says so every five seconds, or ten where it has just reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedGroup:
    """A group that failed, and why."""

    problem_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCounts:
    """What one worker has done since it started."""

    num_ok: int = 0
    """Groups stored, by status."""
    num_dropped: int = 0
    num_failed: int = 0
    num_in_flight: int = 0
    """Groups being worked on."""
    num_batches: int = 0
    """Batches held, from their arrival until they are stored."""
    working_s: float = 0.0
    """From the first group's arrival to the last one's end: starting the engine is not in it."""
    engine: EngineStats = EngineStats()
    program: ProgramCounts = ProgramCounts()
    slot: str = ""
    """Names the place of this worker: one that is replaced leaves its place to the next."""
    engine_start_s: float = 0.0
    """What opening the engine took."""
    drop_reasons: dict[str, int] = field(default_factory=dict)
    """Groups stored as dropped, by reason."""
    recent_failures: tuple[FailedGroup, ...] = ()
    """The last `MAX_RECENT` of those stored as failed, oldest first."""
    process: Process | None = None
    """The worker's own; `None` outside a cluster."""
    death: str | None = None
    """Why the engine died; `None` while it lives, and of a worker that was killed with it."""
    silent_s: float = 0.0
    """Since the worker was last heard of, with or without counts; the tally's to say."""

    @property
    def num_groups(self) -> int:
        """Groups finished, whatever became of them."""
        return self.num_ok + self.num_dropped + self.num_failed


@dataclass(slots=True)
class Tally:
    """The latest counts of every worker, by incarnation: a restarted worker is a new one.

    Runs as a Ray actor. Counts of work that was lost with a worker stay in the sums of tokens,
    because they were paid for; groups are counted when they are stored.
    """

    workers: dict[str, WorkerCounts] = field(default_factory=dict)
    heard_s: dict[str, float] = field(default_factory=dict)
    """When each of them last reported, by this process's clock."""
    alive_s: dict[str, float] = field(default_factory=dict)
    """When each of them last said anything: idle workers have nothing to report."""

    def report(self, incarnation: str, counts: WorkerCounts) -> None:
        """Replaces what was known of this worker."""
        self.workers[incarnation] = counts
        self.heard_s[incarnation] = self.alive_s[incarnation] = time.monotonic()

    def alive(self, incarnation: str) -> None:
        """Nothing new, but the worker's process is there."""
        self.alive_s[incarnation] = time.monotonic()

    def silent(self, for_s: float) -> list[Process]:
        """Workers that have work and said nothing for so long, but those replaced since."""
        last = {counts.slot: name for name, counts in self.workers.items()}
        until_s = time.monotonic() - for_s
        return [
            process
            for name in last.values()
            if (process := self.workers[name].process) is not None
            and self.workers[name].num_batches
            and self.heard_s[name] <= until_s
        ]

    def total(self) -> WorkerCounts:
        """The sum over all workers."""
        return sum_counts(list(self.workers.values()))

    def by_worker(self) -> dict[str, WorkerCounts]:
        """What is known of each worker, in the order they first reported."""
        now_s = time.monotonic()
        return {
            name: replace(counts, silent_s=now_s - self.alive_s[name])
            for name, counts in self.workers.items()
        }

    def well(self, lost: str) -> list[str]:
        """Incarnations outside of this slot that were heard as lately as any, but for a beat or
        two, and whose engine lives."""
        latest_s = max(self.alive_s.values(), default=0.0)
        last = {counts.slot: name for name, counts in self.workers.items()}
        return [
            name
            for slot, name in last.items()
            if slot != lost
            and self.workers[name].death is None
            and self.alive_s[name] > latest_s - MAX_QUIET_S
        ]

    def num_workers(self) -> int:
        """Workers that have reported, restarted ones again."""
        return len(self.workers)


_OWN = ("num_ok", "num_dropped", "num_failed", "num_in_flight", "num_batches", "working_s")


def sum_counts(counts: list[WorkerCounts]) -> WorkerCounts:
    """Field by field; what cannot be added up is left out."""
    return WorkerCounts(
        **_sums(counts, _OWN),
        engine=EngineStats(**_sums((c.engine for c in counts), COUNTERS)),
        program=ProgramCounts(
            **_sums((c.program for c in counts), [f.name for f in fields(ProgramCounts)])
        ),
    )


COUNTERS = tuple(f.name for f in fields(EngineStats) if f.name != "load")
"""Fields of EngineStats that only grow."""


def sum_loads(loads: list[EngineLoad]) -> EngineLoad:
    """What all engines are doing; `kv_cache_usage` is the mean."""
    names = ("num_running", "num_waiting", "max_concurrency")
    usage = sum(load.kv_cache_usage for load in loads) / max(1, len(loads))
    return EngineLoad(**_sums(loads, names), kv_cache_usage=usage)


def engine_summary(stats: EngineStats) -> dict[str, int]:
    """The counters as plain numbers, for a manifest."""
    return {name: number for name, number in asdict(stats).items() if name in COUNTERS}


def _sums(values: Iterable[object], names: Iterable[str]) -> dict[str, Any]:
    values = list(values)
    return {name: sum(getattr(value, name) for value in values) for name in names}
