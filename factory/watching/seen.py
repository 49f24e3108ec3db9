"""Makes one run of a job visible: its status file, its log and its metrics.

One thread of the driver reads the workers' counts once a second and tells what they show. Workers
report to the tally twice a second whoever watches, so what is seen costs an engine nothing; and
what cannot be written is not seen, which is no reason to stop.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from factory.ending import Ending
from factory.watching.events import LOG_FILE, event, listen, logging_to, unlisten
from factory.watching.export import Exporter, RayMeter
from factory.watching.reader import StageReader, StageReading
from factory.watching.stage_events import StageEvents
from factory.watching.stage_run import StageRun, Watch
from factory.watching.status import JobStatus, StageStatus, State
from factory.watching.status_file import write_status
from schemas.manifest import Manifest

READ_INTERVAL_S = 1.0
WRITE_INTERVAL_S = 3.0
MAX_ERROR_CHARS = 600
STOPS = (KeyboardInterrupt, SystemExit)
"""Ctrl-C, and what Ray makes of a SIGTERM."""


@contextmanager
def job_seen(
    folder: Path,
    manifest: Manifest,
    watch: Watch,
    ending: Ending,
    may_write: Callable[[], bool] = lambda: True,
) -> Iterator[Watch]:
    """Shows a run of the job in this folder from its beginning to its end, whatever ends it: inside
    `ending.watched()` that is a thread's error, not the interruption by it. In a folder that is
    not this run's any more nothing is shown.

    Yields a `Watch` for the job's stages, which shows them to `watch` too. What happens beside
    stages is taken from events: "sealed before" and "shard sealed" with `num_sealed`, "pushed" with
    `num_pushed`.
    """
    with logging_to(folder / LOG_FILE, may_write, job=manifest.digest):
        seen = Seen(folder, manifest, ending, may_write)
        seen.start()
        try:
            yield seen.watching(watch)
        except BaseException as error:
            seen.end(error)
            raise
        else:
            seen.end()


class Seen:
    """What is known of a running job; told to nobody before `start`."""

    def __init__(
        self, folder: Path, manifest: Manifest, ending: Ending, may_write: Callable[[], bool]
    ) -> None:
        self._folder = folder
        self._may_write = may_write
        self._ending = ending
        self._lock = threading.RLock()  # guards the three below
        now = time.time()
        self._status = JobStatus(
            digest=manifest.digest,
            recipe=str(manifest.recipe["name"]),
            host=socket.gethostname(),
            pid=os.getpid(),
            started=now,
            updated=now,
        )
        self._exporter = Exporter(RayMeter(), manifest.digest)
        self._stage: _Followed | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="job-status", daemon=True)

    def start(self) -> None:
        """From now on the status is kept up to date."""
        listen(self._hear)
        event("job started", recipe=self._status.recipe, host=self._status.host, pid=os.getpid())
        self._write()
        self._thread.start()

    def end(self, error: BaseException | None = None) -> None:
        """The last status of this run, which ended by this error or by none."""
        error = self._ending.cause_of(error)
        state = _state_after(error)
        is_failed = state is State.FAILED
        said = f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARS] if is_failed else None
        self._stop.set()
        self._thread.join(timeout=10)
        unlisten(self._hear)
        seconds = round(time.time() - self._status.started, 2)
        fields = {"error": said} if said else {}
        event(f"job {state}", seconds=seconds, **fields)
        with self._lock:
            self._status = replace(self._status, state=state, error=said, doing="")
            self._write()

    def watching(self, watch: Watch) -> Watch:
        """A `Watch` that shows a stage here, and to `watch`."""

        @contextmanager
        def both(run: StageRun) -> Iterator[None]:
            with self._following(run), watch(run):
                yield

        return both

    def _hear(self, name: str, fields: Mapping[str, Any]) -> None:
        with self._lock:
            now = self._status
            match name:
                case "publishing":
                    self._status = replace(now, doing="publishing")
                case "sealed before" | "shard sealed":
                    num_sealed = fields.get("num_sealed", now.num_shards_sealed + 1)
                    self._status = replace(now, num_shards_sealed=num_sealed)
                case "pushed":
                    self._status = replace(now, num_shards_pushed=fields["num_pushed"])

    def _following(self, run: StageRun) -> AbstractContextManager[None]:
        @contextmanager
        def follow() -> Iterator[None]:
            event(
                "stage started",
                stage=run.name,
                groups=run.num_groups,
                stored=run.num_stored,
                engines=run.num_engines,
                gpus_per_engine=run.num_gpus,
            )
            with self._lock:
                self._stage = _Followed(run)
                self._status = replace(self._status, stages=(*self._status.stages, run.blank))
            try:
                yield
            except BaseException as error:
                self._end_stage(error)
                raise
            else:
                self._end_stage()

        return follow()

    def _end_stage(self, error: BaseException | None = None) -> None:
        state = _state_after(self._ending.cause_of(error))
        with self._lock:
            stage, self._stage = self._stage, None
            assert stage is not None
            reading = stage.read()
            last = replace(
                self._status.stages[-1] if reading is None else reading.status,
                state=state,
                left_s=0.0 if state is State.DONE else None,
            )
            self._put(last)
            if reading is not None:
                self._exporter.end_stage(last, reading.workers)
            event(f"stage {state}", **_numbers(last))
            self._write()

    def _follow(self) -> None:
        last_write_s = time.monotonic()
        while not self._stop.wait(READ_INTERVAL_S):
            with self._lock:
                if self._stage is not None and (reading := self._stage.read()) is not None:
                    self._put(reading.status)
                    self._exporter.stage(reading.status, reading.workers)
                self._exporter.job(self._status)
                if time.monotonic() - last_write_s >= WRITE_INTERVAL_S:
                    last_write_s = time.monotonic()
                    self._write()

    def _put(self, stage: StageStatus) -> None:
        self._status = replace(self._status, stages=(*self._status.stages[:-1], stage))

    def _write(self) -> None:
        self._status = replace(self._status, updated=time.time())
        with suppress(OSError):
            if self._may_write():
                write_status(self._folder, self._status)


class _Followed:
    """A stage while it runs."""

    def __init__(self, run: StageRun) -> None:
        self._reader = StageReader(run)
        self._events = StageEvents(run.name, event)

    def read(self) -> StageReading | None:
        reading = self._reader.read()
        if reading is not None:
            self._events.read(reading.workers)
        return reading


def _state_after(error: BaseException | None) -> State:
    if error is None:
        return State.DONE
    return State.STOPPED if isinstance(error, STOPS) else State.FAILED


def _numbers(stage: StageStatus) -> dict[str, Any]:
    """What a stage came to, for its last event."""
    return {
        "stage": stage.name,
        "seconds": round(stage.elapsed_s, 2),
        "ok": stage.num_ok,
        "dropped": stage.num_dropped,
        "failed": stage.num_failed,
        "rollouts": stage.program.num_rollouts,
        "tokens": stage.engine.num_generated_tokens,
        "engine_deaths": stage.num_engine_deaths,
        "workers_replaced": stage.num_workers_replaced,
        "gpu_s": round(stage.gpu_s, 2),
    }
