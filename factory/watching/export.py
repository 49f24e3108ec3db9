"""Metrics through Ray: reported from the driver about once a second, whatever the engines do."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol, TypeVar

from factory.watching.metrics import (
    ENGINE_METRICS,
    ENGINE_TAGS,
    JOB_METRICS,
    JOB_TAGS,
    STAGE_METRICS,
    STAGE_TAGS,
    Metric,
)
from factory.watching.status import JobStatus, StageStatus, living
from workers.tally import WorkerCounts

SLOT_LENGTH = 8
T = TypeVar("T")


class Meter(Protocol):
    """Where values go."""

    def add(self, name: str, kind: str, help: str, value: float, tags: dict[str, str]) -> None:
        """Adds to a counter, or sets a gauge."""
        ...


class RayMeter:
    """Ray's metrics; needs a Ray that is initialised, and `ray[default]` to be heard."""

    def add(self, name: str, kind: str, help: str, value: float, tags: dict[str, str]) -> None:
        """Costs a few microseconds; does nothing while there is no Ray."""
        import ray

        if not ray.is_initialized():
            return
        instrument = _instrument(name, kind, help, tuple(tags))
        if kind == "counter":
            instrument.inc(value, tags=tags)
        else:
            instrument.set(value, tags=tags)


@cache
def _instrument(name: str, kind: str, help: str, tag_keys: tuple[str, ...]) -> Any:
    from ray.util.metrics import Counter, Gauge

    return (Counter if kind == "counter" else Gauge)(name, description=help, tag_keys=tag_keys)


class Exporter:
    """Turns sums into what a meter takes: what counters have grown by, what gauges are now."""

    def __init__(self, meter: Meter, job: str) -> None:
        self._meter = meter
        self._job = job
        self._told: dict[tuple[str, str], float] = {}
        """What each counter was when it was last reported, by metric and whose it is."""

    def stage(self, status: StageStatus, workers: Mapping[str, WorkerCounts]) -> None:
        """Reports a stage and its workers; counters of replaced workers stay in their place's,
        gauges of places where none is up are 0."""
        is_alive = living(workers)
        places = {place(counts) for counts in is_alive.values()}
        for incarnation, counts in workers.items():
            tags = dict(zip(ENGINE_TAGS, (self._job, status.name, place(counts)), strict=True))
            owner = f"{status.name} {incarnation}"
            self._report(ENGINE_METRICS, counts, owner, tags, has_gauges=incarnation in is_alive)
            if place(counts) not in places:
                self._clear(ENGINE_METRICS, tags)
        tags = dict(zip(STAGE_TAGS, (self._job, status.name), strict=True))
        self._report(STAGE_METRICS, status, status.name, tags)

    def end_stage(self, status: StageStatus, workers: Mapping[str, WorkerCounts]) -> None:
        """Reports a stage for the last time: nothing runs any more."""
        self.stage(status, workers)
        for counts in workers.values():
            tags = dict(zip(ENGINE_TAGS, (self._job, status.name, place(counts)), strict=True))
            self._clear(ENGINE_METRICS, tags)
        self._clear(STAGE_METRICS, dict(zip(STAGE_TAGS, (self._job, status.name), strict=True)))

    def job(self, status: JobStatus) -> None:
        """Reports what is known of the job as a whole."""
        self._report(JOB_METRICS, status, "", dict(zip(JOB_TAGS, (self._job,), strict=True)))

    def _report(
        self,
        metrics: tuple[Metric[T], ...],
        source: T,
        owner: str,
        tags: dict[str, str],
        *,
        has_gauges: bool = True,
    ) -> None:
        for metric in metrics:
            value = metric.value(source)
            if value is None:
                continue
            if metric.kind == "counter":
                told = self._told.get((metric.name, owner), 0.0)
                if value > told:
                    self._told[metric.name, owner] = value
                    self._meter.add(metric.name, metric.kind, metric.help, value - told, tags)
            elif has_gauges:
                self._meter.add(metric.name, metric.kind, metric.help, value, tags)

    def _clear(self, metrics: tuple[Metric[T], ...], tags: dict[str, str]) -> None:
        for metric in metrics:
            if metric.kind == "gauge":
                self._meter.add(metric.name, metric.kind, metric.help, 0.0, tags)


def place(counts: WorkerCounts) -> str:
    """The tag of an engine: where it is, not which of those that were there."""
    return counts.slot[:SLOT_LENGTH]
