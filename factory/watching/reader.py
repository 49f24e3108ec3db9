"""Readings of a running stage: from its workers' counts to its status."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from factory.watching.rates import RateMeter
from factory.watching.stage_run import StageRun
from factory.watching.status import StageStatus, living, stage_status
from workers.tally import WorkerCounts, sum_counts

READ_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class StageReading:
    """A stage at one moment."""

    status: StageStatus
    workers: Mapping[str, WorkerCounts]


class StageReader:
    """Reads one stage again and again."""

    def __init__(self, run: StageRun, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock
        self._meter = RateMeter()
        self._began_s = self._last_s = clock()
        self._engine_s = 0.0

    def read(self) -> StageReading | None:
        """The stage as its tally knows it; `None` while that does not answer."""
        import ray

        try:
            workers = ray.get(self._run.tally.by_worker.remote(), timeout=READ_TIMEOUT_S)
        except (ray.exceptions.RayError, TimeoutError):
            return None
        return self.take(workers)

    def take(self, workers: Mapping[str, WorkerCounts]) -> StageReading:
        """A reading from these counts, now.

        An engine counts as reserved while it starts, of a range the least number of them; one that
        a range adds counts once it is up.
        """
        now_s = self._clock()
        num_reserved = max(self._run.min_engines, len(living(workers)))
        self._engine_s += (now_s - self._last_s) * num_reserved
        self._last_s = now_s
        rates = self._meter.read(sum_counts(list(workers.values())), now_s)
        blank = replace(
            self._run.blank,
            elapsed_s=now_s - self._began_s,
            engine_s=self._engine_s,
            gpu_s=self._engine_s * self._run.num_gpus,
        )
        return StageReading(stage_status(blank, workers, rates), workers)
