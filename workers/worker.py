"""The Ray Data worker: hosts an engine and runs a program over many groups at once."""

import asyncio
import logging
import os
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import pyarrow as pa

from schemas.arrow import arrow_schema, from_row, to_row
from schemas.records import ProblemGroup, Status
from workers.admission import Admission
from workers.engine import Engine, EngineDead
from workers.program import AnswerGrader, Program
from workers.tally import WorkerCounts

ENGINE_DEAD_EXIT_CODE = 17
REPORT_INTERVAL_S = 0.5
MAX_REASON_CHARS = 500

log = logging.getLogger(__name__)


class ReportsTo(Protocol):
    """Where counts go; on a cluster, the handle of a `Tally` actor."""

    report: Any


class EngineWorker:
    """The callable of `Dataset.map_batches`: one per actor, one engine each.

    A batch is a table of groups. All groups of all batches in flight run at the same time, so
    that the engine always has more requests than it computes at once. An exception in one group
    makes that group a failed one and touches no other. When the engine dies, the process leaves
    at once: Ray replaces it and tries its batches again, which an exception would not achieve.
    """

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        open_grader: Callable[[], AnswerGrader],
        program: Program,
        tally: ReportsTo | None = None,
    ) -> None:
        self._engine = open_engine()
        self._grader = open_grader()
        self._program = program
        self._tally = tally
        self._incarnation = uuid.uuid4().hex
        self._done: Counter[Status] = Counter()
        self._num_in_flight = 0
        self._last_report_s = 0.0
        self._started_s: float | None = None
        self._working_s = 0.0
        self._admission: Admission | None = None

    async def __call__(self, batch: pa.Table) -> pa.Table:
        """The same groups, each with the program's findings."""
        if self._admission is None:
            self._admission = Admission(self._engine)
        admission = self._admission
        groups = [from_row(ProblemGroup, row) for row in batch.to_pylist()]
        reporter = asyncio.create_task(self._report_regularly())
        try:
            found = await asyncio.gather(*(self._run(group, admission) for group in groups))
        except EngineDead as error:
            log.error("the engine died (%s): leaving, so that Ray replaces this worker", error)
            os._exit(ENGINE_DEAD_EXIT_CODE)
        finally:
            reporter.cancel()
        self._report()
        return pa.Table.from_pylist([to_row(g) for g in found], schema=arrow_schema(ProblemGroup))

    async def _run(self, group: ProblemGroup, engine: Admission) -> ProblemGroup:
        now_s = asyncio.get_running_loop().time
        self._started_s = now_s() if self._started_s is None else self._started_s
        self._num_in_flight += 1
        try:
            group = await self._program(group, engine, self._grader)
        except Exception as error:
            if dead := _engine_death(error):
                raise dead from None
            group = replace(group, status=Status.FAILED, reason=_in_words(error))
        finally:
            self._num_in_flight -= 1
            self._working_s = now_s() - self._started_s
        self._done[group.status] += 1
        return group

    async def _report_regularly(self) -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL_S)
            if asyncio.get_running_loop().time() - self._last_report_s >= REPORT_INTERVAL_S:
                self._report()

    def _report(self) -> None:
        self._last_report_s = asyncio.get_running_loop().time()
        if self._tally is None:
            return
        counts = WorkerCounts(
            num_ok=self._done[Status.OK],
            num_dropped=self._done[Status.DROPPED],
            num_failed=self._done[Status.FAILED],
            num_in_flight=self._num_in_flight,
            working_s=self._working_s,
            engine=self._engine.stats(),
        )
        self._tally.report.remote(self._incarnation, counts)


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
