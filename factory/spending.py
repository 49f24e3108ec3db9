"""What a stage's runs have cost: a file for each run, rewritten while it works, and their sum.

A run that is killed has paid for its rollouts too: what it had counted up to half a minute before
its end stays in the sum.
"""

import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from factory.stage_folder import StageFolder
from factory.watching.reader import StageReader, StageReading
from factory.watching.stage_run import StageRun
from schemas.files import listed, make_folder, read_bytes, write_atomically
from workers.beside import beside
from workers.tally import WorkerCounts, engine_summary, sum_counts

WRITE_INTERVAL_S = 20.0
ANSWER_TIMEOUT_S = 60.0
"""For a count."""
LAST_ANSWER_S = 5.0
"""For the last count of a run that ends by an error, and for a count under way when any ends."""


def spent(stage: StageFolder) -> dict[str, float]:
    """The counters of all runs so far, added up; empty where nothing ever ran."""
    total: Counter[str] = Counter()
    for file in listed(stage.costs, "*.json"):
        total.update(json.loads(read_bytes(file)))
    return {name: round(number, 3) for name, number in total.items()}


@contextmanager
def spending(
    stage: StageFolder,
    run: StageRun,
    workers: Callable[[float], Mapping[str, WorkerCounts]],
    *,
    may_write: Callable[[], bool] = lambda: True,
    interval_s: float = WRITE_INTERVAL_S,
    patience_s: float = LAST_ANSWER_S,
) -> Iterator[None]:
    """Inside, what `workers` says is kept as this run's; once more when the block is left. It is
    told how many seconds it may take. `may_write` is false where the folder is not this run's any
    more.

    When an error ends the block, a count or a file that cannot be had hides it not.
    """
    file = stage.costs / f"{uuid.uuid4().hex}.json"
    began_s = time.monotonic()
    reader = StageReader(run)

    def keep(found: Mapping[str, WorkerCounts]) -> None:
        seconds = time.monotonic() - began_s
        spent_now = {"seconds": seconds, **_plain(reader.take(found))}
        if may_write():
            write_atomically(file, json.dumps(spent_now) + "\n")

    def follow(stop: threading.Event) -> None:
        while not stop.wait(interval_s):
            with suppress(Exception):  # the cluster or the storage may be away; the next one tells
                found = workers(ANSWER_TIMEOUT_S)
                if not stop.is_set():  # else the last count may be there already
                    keep(found)

    make_folder(stage.costs)
    try:
        with beside("spending", follow, patience_s=patience_s):
            yield
    except BaseException:
        with suppress(Exception):
            keep(workers(LAST_ANSWER_S))
        raise
    keep(workers(ANSWER_TIMEOUT_S))


def _plain(reading: StageReading) -> dict[str, Any]:
    counts = sum_counts(list(reading.workers.values()))
    return {
        "engine_s": reading.status.engine_s,
        "gpu_s": reading.status.gpu_s,
        "num_ok": counts.num_ok,
        "num_dropped": counts.num_dropped,
        "num_failed": counts.num_failed,
        "working_s": counts.working_s,
        **engine_summary(counts.engine),
    }
