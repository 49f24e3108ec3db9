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
        self._has_engines = False

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

        From when the first engine began to start on, engines count as reserved, of a range the
        least number of them; one that a range adds counts once it is up. Before that the stage may
        wait for nodes that nobody has yet.
        """
        now_s = self._clock()
        self._engine_s += self._engine_s_since(workers, now_s)
        self._last_s = now_s
        rates = self._meter.read(sum_counts(list(workers.values())), now_s)
        blank = replace(
            self._run.blank,
            elapsed_s=now_s - self._began_s,
            engine_s=self._engine_s,
            gpu_s=self._engine_s * self._run.num_gpus,
        )
        return StageReading(stage_status(blank, workers, rates), workers)

    def _engine_s_since(self, workers: Mapping[str, WorkerCounts], now_s: float) -> float:
        """Engine-seconds since the last reading; of the first one that knows an engine, since that
        began to start."""
        if not workers:
            return 0.0
        seconds = now_s - self._last_s
        if not self._has_engines:
            self._has_engines = True
            known_s = max(one.engine_start_s + one.working_s for one in workers.values())
            seconds = min(known_s, now_s - self._began_s)
        return seconds * max(self._run.min_engines, len(living(workers)))
