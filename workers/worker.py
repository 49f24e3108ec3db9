"""The Ray Data worker: hosts an engine and runs a program over many groups at once."""

import asyncio
import logging
import os
import sys
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from schemas.arrow import arrow_schema, from_row, to_row
from schemas.files import read_table
from schemas.records import ProblemGroup, Status
from workers.admission import Admission
from workers.counting import counting, program_counts
from workers.engine import Engine, EngineDead
from workers.process import Process
from workers.program import Program
from workers.store import batch_id, check_there, patiently, write_groups
from workers.suspects import Suspects
from workers.tally import MAX_RECENT, FailedGroup, WorkerCounts

ENGINE_DEAD_EXIT_CODE = 17
REPORT_INTERVAL_S = 0.5
BEAT_S = 5.0
"""A worker with nothing to report says so often that it is there."""
LAST_WORDS_S = 2.0
"""A worker whose engine died waits at most so long until that is known and written down."""
MAX_REASON_CHARS = 500
ATTEMPTS = "attempts"
RETURNED = ["problem_id", "status"]

log = logging.getLogger(__name__)


class ReportsTo(Protocol):
    """Where counts go; on a cluster, the handle of a `Tally` actor."""

    report: Any
    alive: Any


class EngineWorker:
    """The callable of `Dataset.map_batches`: one per actor, one engine each.

    A batch is a table of groups. All groups of all batches in flight run at the same time, so
    that the engine always has more requests than it computes at once. An exception in one group
    makes that group a failed one and touches no other. When the engine dies, the process leaves
    at once: Ray replaces it and tries its batches again, which an exception would not achieve. A
    group over which engines keep dying is found and fails (`workers.suspects`).

    The worker stores each batch itself when it is done (`workers.store`).
    """

    beat_s = BEAT_S

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        open_tool: Callable[[], Any],
        program: Program,
        folder: Path,
        tally: ReportsTo | None = None,
    ) -> None:
        began_s = time.monotonic()
        self._engine = open_engine()
        self._engine_start_s = time.monotonic() - began_s
        self._tool = open_tool()
        self._program = program
        self._folder = folder
        self._suspects: Suspects | None = None
        self._tally = tally
        self._incarnation = uuid.uuid4().hex
        self._slot = _slot() or self._incarnation
        self._process = _process()
        self._stored: Counter[Status] = Counter()
        self._drop_reasons: Counter[str] = Counter()
        self._failures: deque[FailedGroup] = deque(maxlen=MAX_RECENT)
        self._sums: Counter[str] = Counter()
        self._num_in_flight = 0
        self._num_batches = 0
        self._last_report_s = 0.0
        self._started_s: float | None = None
        self._working_s = 0.0
        self._admission: Admission | None = None
        self._report()
        if self._tally is not None and self._process is not None:
            threading.Thread(target=self._beat, name="worker-beat", daemon=True).start()

    async def __call__(self, batch: pa.Table) -> pa.Table:
        """Stores the same groups, each with the program's findings; returns ids and statuses.

        A batch that is stored already, by a worker whose answer was lost, is not run again.
        """
        self._num_batches += 1
        self._report()
        reporter = asyncio.create_task(self._report_regularly())
        try:
            return await self._stored_batch(batch)
        finally:
            reporter.cancel()
            self._num_batches -= 1
            self._report()

    async def _stored_batch(self, batch: pa.Table) -> pa.Table:
        if self._suspects is None:
            await patiently(partial(check_there, self._folder))
            self._suspects = Suspects(self._folder / ATTEMPTS, self._incarnation)
            self._admission = Admission(self._engine)
        stored = self._folder / f"{batch_id(batch)}.parquet"
        if (known := await patiently(partial(_returned, stored))) is not None:
            return known
        name, groups = batch_id(batch), [from_row(ProblemGroup, row) for row in batch.to_pylist()]
        if (await self._suspects.deaths(name)).are_suspicious:
            async with self._suspects.alone():
                return await self._stored_table(self._one_by_one(groups))
        return await self._stored_table(self._together(name, groups))

    async def _stored_table(self, work: Awaitable[list[ProblemGroup]]) -> pa.Table:
        try:
            found = await work
            rows = [to_row(group) for group in found]
            table = pa.Table.from_pylist(rows, schema=arrow_schema(ProblemGroup))
            await patiently(partial(write_groups, self._folder, table))
        except EngineDead as error:
            log.error("the engine died (%s): leaving, so that Ray replaces this worker", error)
            await self._last_words(str(error))
            os._exit(ENGINE_DEAD_EXIT_CODE)
        self._count_stored(found)
        return table.select(RETURNED)

    async def _together(self, name: str, groups: list[ProblemGroup]) -> list[ProblemGroup]:
        assert self._suspects is not None
        async with self._suspects.together(name):
            return await asyncio.gather(*(self._run(group) for group in groups))

    async def _one_by_one(self, groups: list[ProblemGroup]) -> list[ProblemGroup]:
        return [await self._suspect(group) for group in groups]

    async def _suspect(self, group: ProblemGroup) -> ProblemGroup:
        assert self._suspects is not None
        name = f"alone {group.problem_id}"
        deaths = await self._suspects.deaths(name)
        if deaths.are_too_many:
            return replace(group, status=Status.FAILED, reason=f"EngineDead: {deaths}")
        async with self._suspects.marked(name):
            return await self._run(group)

    async def _run(self, group: ProblemGroup) -> ProblemGroup:
        assert self._admission is not None
        now_s = asyncio.get_running_loop().time
        self._started_s = now_s() if self._started_s is None else self._started_s
        self._num_in_flight += 1
        try:
            with counting(self._sums):
                group = await self._program(group, self._admission, self._tool)
        except Exception as error:
            if dead := _engine_death(error):
                raise dead from None
            group = replace(group, status=Status.FAILED, reason=_in_words(error))
        finally:
            self._num_in_flight -= 1
            self._working_s = now_s() - self._started_s
        return group

    def _count_stored(self, groups: list[ProblemGroup]) -> None:
        for group in groups:
            self._stored[group.status] += 1
            if group.status is Status.DROPPED:
                self._drop_reasons[str(group.reason)] += 1
            elif group.status is Status.FAILED:
                failed = FailedGroup(problem_id=group.problem_id, reason=str(group.reason))
                self._failures.append(failed)

    async def _report_regularly(self) -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL_S)
            if time.monotonic() - self._last_report_s >= REPORT_INTERVAL_S:
                self._report()

    def _beat(self) -> None:
        """Until the process ends, in a thread: an idle worker's event loop may not run."""
        assert self._tally is not None
        while True:
            time.sleep(self.beat_s)
            if time.monotonic() - self._last_report_s >= self.beat_s:
                self._tally.alive.remote(self._incarnation)

    def _report(self, death: str | None = None) -> Any:
        """Sends the counts as they are; what the call returns can be awaited on a cluster."""
        self._last_report_s = time.monotonic()
        if self._tally is None:
            return None
        counts = WorkerCounts(
            num_ok=self._stored[Status.OK],
            num_dropped=self._stored[Status.DROPPED],
            num_failed=self._stored[Status.FAILED],
            num_in_flight=self._num_in_flight,
            num_batches=self._num_batches,
            working_s=self._working_s,
            engine=self._engine.stats(),
            program=program_counts(self._sums),
            slot=self._slot,
            engine_start_s=self._engine_start_s,
            drop_reasons=dict(self._drop_reasons),
            recent_failures=tuple(self._failures),
            process=self._process,
            death=death,
        )
        return self._tally.report.remote(self._incarnation, counts)

    async def _last_words(self, death: str) -> None:
        assert self._suspects is not None
        words = [asyncio.ensure_future(self._suspects.engine_died())]
        if (sent := self._report(death)) is not None:
            words.append(asyncio.ensure_future(_until(sent)))
        await asyncio.wait(words, timeout=LAST_WORDS_S)


def _returned(file: Path) -> pa.Table | None:
    """What was said of a batch that is stored; `None` also where its slice was settled since."""
    with suppress(FileNotFoundError):
        return read_table(file, columns=RETURNED)
    return None


async def _until(sent: Any) -> Any:
    return await sent


def _slot() -> str | None:
    """The Ray actor this worker lives in, which keeps its name when it is restarted."""
    if (context := _context()) is None:
        return None
    actor: str | None = context.get_actor_id()
    return actor


def _process() -> Process | None:
    context = _context()
    return None if context is None else Process.this(context.get_node_id())


def _context() -> Any:
    """Ray's; `None` outside Ray, which is then not imported."""
    ray = sys.modules.get("ray")
    return ray.get_runtime_context() if ray is not None and ray.is_initialized() else None


def _engine_death(error: BaseException) -> EngineDead | None:
    if isinstance(error, EngineDead):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((dead for e in error.exceptions if (dead := _engine_death(e))), None)
    return None


def _in_words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:MAX_REASON_CHARS]
