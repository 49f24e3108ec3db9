"""What a job has done so far, as one value: written by its driver, read by whoever watches."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from workers.counting import ProgramCounts
from workers.engine import EngineStats
from workers.tally import FailedGroup, WorkerCounts, sum_counts, sum_loads

MAX_RECENT = 10
"""Failed groups and dead engines that a status names."""
GONE_AFTER_S = 60.0
"""A worker that says nothing for so long is not up: it does so every few seconds, idle ones too."""
STALE_AFTER_S = 60.0
"""A driver that has not written for so long is gone: it writes every few seconds."""


class State(StrEnum):
    """Where a job, or a stage of it, stands."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    """Somebody stopped it; running it again goes on."""
    FAILED = "failed"
    """An error ended it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStatus:
    """One stage in this run. Rates and projections are `None` until there is something to go by."""

    name: str
    state: State = State.RUNNING
    num_groups: int
    """Groups to do in this run."""
    num_stored: int
    """Groups stored by earlier runs."""
    num_ok: int = 0
    num_dropped: int = 0
    num_failed: int = 0
    num_in_flight: int = 0
    elapsed_s: float = 0.0
    num_engines: int = 0
    """Engines that are up, as far as their workers are heard."""
    num_engines_asked: int = 0
    engine_starts_s: tuple[float, ...] = ()
    """What opening each engine took."""
    num_engine_deaths: int = 0
    num_workers_replaced: int = 0
    """Those whose engine died and those that were killed."""
    engine: EngineStats = EngineStats()
    program: ProgramCounts = ProgramCounts()
    tokens_per_s: float | None = None
    rollouts_per_s: float | None = None
    groups_per_s: float | None = None
    left_s: float | None = None
    engine_s: float = 0.0
    """Time that engines were reserved, summed over them."""
    gpu_s: float = 0.0
    engine_s_before: float = 0.0
    """The same in earlier runs."""
    gpu_s_before: float = 0.0
    projected_gpu_s: float | None = None
    """At the end of the stage, if the groups left cost what those done did."""
    projected_tokens: float | None = None
    drop_reasons: dict[str, int] = field(default_factory=dict)
    recent_failures: tuple[FailedGroup, ...] = ()
    recent_deaths: tuple[str, ...] = ()

    @property
    def num_done(self) -> int:
        """Groups finished in this run, whatever became of them."""
        return self.num_ok + self.num_dropped + self.num_failed

    @property
    def cache_hit_rate(self) -> float | None:
        """Share of the looked-up prompt tokens that the prefix cache held."""
        asked = self.engine.num_cache_queries
        return self.engine.num_cache_hits / asked if asked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A job as its driver last saw it."""

    digest: str
    recipe: str
    state: State = State.RUNNING
    host: str
    pid: int
    started: float
    """Unix times."""
    updated: float
    doing: str = ""
    """What it does beside stages: publishing."""
    error: str | None = None
    """What ended it."""
    stages: tuple[StageStatus, ...] = ()
    """Those begun in this run, in order."""
    num_shards_sealed: int = 0
    num_shards_pushed: int = 0

    def silent_s(self, now: float) -> float | None:
        """Seconds since a running job's driver was last heard of, once that is too long."""
        silent_s = now - self.updated
        return silent_s if self.state is State.RUNNING and silent_s > STALE_AFTER_S else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How fast a stage was lately, and since its first token."""

    tokens_per_s: float | None = None
    rollouts_per_s: float | None = None
    groups_per_s: float | None = None


def stage_status(
    blank: StageStatus, workers: Mapping[str, WorkerCounts], rates: Rates
) -> StageStatus:
    """The status of a stage from its workers' counts; `blank` has all that they do not know.

    Projections suppose that the groups left cost as much as those done.
    """
    counts = list(workers.values())
    total = sum_counts(counts)
    done = total.num_groups
    deaths = [c.death for c in counts if c.death is not None]
    num_slots = len({c.slot for c in counts})
    share = done / blank.num_groups if blank.num_groups else 0.0
    drops: Counter[str] = Counter()
    for each in counts:
        drops.update(each.drop_reasons)
    left = max(0, blank.num_groups - done)
    return replace(
        blank,
        num_ok=total.num_ok,
        num_dropped=total.num_dropped,
        num_failed=total.num_failed,
        num_in_flight=sum(c.num_in_flight for c in living(workers).values()),
        num_engines=len(living(workers)),
        engine_starts_s=tuple(round(c.engine_start_s, 1) for c in counts),
        num_engine_deaths=len(deaths),
        num_workers_replaced=len(counts) - num_slots,
        engine=replace(
            total.engine, load=sum_loads([c.engine.load for c in living(workers).values()])
        ),
        program=total.program,
        tokens_per_s=rates.tokens_per_s,
        rollouts_per_s=rates.rollouts_per_s,
        groups_per_s=rates.groups_per_s,
        left_s=left / rates.groups_per_s if rates.groups_per_s else None,
        projected_gpu_s=blank.gpu_s / share if share else None,
        projected_tokens=total.engine.num_generated_tokens / share if share else None,
        drop_reasons=dict(drops),
        recent_failures=tuple(f for c in counts for f in c.recent_failures)[-MAX_RECENT:],
        recent_deaths=tuple(deaths)[-MAX_RECENT:],
    )


def living(workers: Mapping[str, WorkerCounts]) -> dict[str, WorkerCounts]:
    """The last worker in every place, unless it said that its engine died or is not heard any more:
    scaled down, killed or lost with its node, and not replaced."""
    last = {counts.slot: name for name, counts in workers.items()}
    return {name: workers[name] for name in last.values() if _is_up(workers[name])}


def _is_up(counts: WorkerCounts) -> bool:
    return counts.death is None and counts.silent_s <= GONE_AFTER_S
