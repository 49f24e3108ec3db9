"""Ends workers that say nothing although they have work: Ray replaces what is gone, not what hangs.

A worker reports twice a second while it has work. One that is stopped, or hangs in code that lets
nothing else run, stays silent; its process is killed on its node, and its batches are done again.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from factory.watching.events import event
from workers.beside import beside
from workers.process import Process

ANSWER_TIMEOUT_S = 30.0
MAX_PAUSE_S = 30.0
"""Between two looks."""


@contextmanager
def silent_workers_end(tally: Any, timeout_s: float) -> Iterator[None]:
    """Inside, a worker that was silent for so long is ended; `tally` is the actor they report to.

    It has to be silent in two looks, so that a tally which was held up itself hears them first.
    """
    with beside("silent-workers", partial(_look, tally, timeout_s)):
        yield


def _look(tally: Any, timeout_s: float, stop: threading.Event) -> None:
    import ray

    before: set[Process] = set()
    while not stop.wait(min(timeout_s / 4, MAX_PAUSE_S)):
        try:
            silent = set(ray.get(tally.silent.remote(timeout_s), timeout=ANSWER_TIMEOUT_S))
            for process in silent & before:
                _end(process, timeout_s)
        except ray.exceptions.RayError:  # the node is lost, or the stage ends: nothing to do here
            continue
        before = silent


def _end(process: Process, timeout_s: float) -> None:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(process.node_id, soft=False)
    options: dict[str, Any] = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": there}
    if ray.get(ray.remote(**options)(Process.end).remote(process), timeout=ANSWER_TIMEOUT_S):
        event("silent worker ended", pid=process.pid, node=process.node_id, silent_s=timeout_s)
