"""Counters of a running stage, gathered from its workers: what progress is shown from."""

from dataclasses import asdict, dataclass, field, fields

from workers.engine import EngineStats


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCounts:
    """What one worker has done since it started."""

    num_ok: int = 0
    num_dropped: int = 0
    num_failed: int = 0
    num_in_flight: int = 0
    """Groups being worked on."""
    working_s: float = 0.0
    """From the first group's arrival to the last one's end: starting the engine is not in it."""
    engine: EngineStats = EngineStats()

    @property
    def num_groups(self) -> int:
        """Groups finished, whatever became of them."""
        return self.num_ok + self.num_dropped + self.num_failed


@dataclass(slots=True)
class Tally:
    """The latest counts of every worker, by incarnation: a restarted worker is a new one.

    Runs as a Ray actor. Counts of work that was lost with a worker stay in the sums of tokens,
    because they were paid for; rows are counted when they are stored, not from here.
    """

    workers: dict[str, WorkerCounts] = field(default_factory=dict)

    def report(self, incarnation: str, counts: WorkerCounts) -> None:
        """Replaces what was known of this worker."""
        self.workers[incarnation] = counts

    def total(self) -> WorkerCounts:
        """The sum over all workers."""
        return sum_counts(list(self.workers.values()))

    def num_workers(self) -> int:
        """Workers that have reported, restarted ones again."""
        return len(self.workers)


def sum_counts(counts: list[WorkerCounts]) -> WorkerCounts:
    """Field by field."""
    engine = {f.name: sum(getattr(c.engine, f.name) for c in counts) for f in fields(EngineStats)}
    names = [f.name for f in fields(WorkerCounts) if f.name != "engine"]
    return WorkerCounts(
        **{name: sum(getattr(c, name) for c in counts) for name in names},
        engine=EngineStats(**engine),
    )


def engine_summary(stats: EngineStats) -> dict[str, int]:
    """The counters as plain numbers, for a manifest."""
    return asdict(stats)
