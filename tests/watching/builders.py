"""Counts and statuses to look at."""

from typing import Any

from factory.watching.status import JobStatus, StageStatus
from workers.engine import EngineStats
from workers.tally import WorkerCounts


def worker(slot: str = "a" * 32, tokens: int = 0, **fields: Any) -> WorkerCounts:
    return WorkerCounts(slot=slot, engine=EngineStats(num_generated_tokens=tokens), **fields)


def stage(**fields: Any) -> StageStatus:
    return StageStatus(**{"name": "label", "num_groups": 100, "num_stored": 0} | fields)


def job(**fields: Any) -> JobStatus:
    known = {"digest": "51f3c354", "recipe": "genprm", "host": "node-3", "pid": 7}
    return JobStatus(**known | {"started": 1000.0, "updated": 1600.0} | fields)
