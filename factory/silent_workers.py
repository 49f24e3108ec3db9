"""Ends workers that say nothing although they have work: Ray replaces what is gone, not what hangs.

A worker reports twice a second while it has work. One that is stopped, or hangs in code that lets
nothing else run, stays silent; its process is killed on its node, and its batches are done again.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from factory.engine_actors import call_on
from factory.watching.events import event
from workers.beside import beside
from workers.process import Process

ANSWER_TIMEOUT_S = 30.0
MAX_PAUSE_S = 30.0
"""Between two looks."""
PATIENCE_S = 5.0
"""With a look that waits for an answer, when the block is left."""


@contextmanager
def silent_workers_end(
    tally: Any, timeout_s: float, *, patience_s: float = PATIENCE_S
) -> Iterator[None]:
    """Inside, a worker that was silent for so long is ended; `tally` is the actor they report to.

    It has to be silent in two looks, so that a tally which was held up itself hears them first.
    """
    with beside("silent-workers", partial(_look, tally, timeout_s), patience_s=patience_s):
        yield


def _look(tally: Any, timeout_s: float, stop: threading.Event) -> None:
    import ray

    before: set[Process] = set()
    while not stop.wait(min(timeout_s / 4, MAX_PAUSE_S)):
        try:
            silent = set(ray.get(tally.silent.remote(timeout_s), timeout=ANSWER_TIMEOUT_S))
        except ray.exceptions.RayError:  # the stage ends: nothing to do here
            continue
        end_all(silent & before, partial(_end, timeout_s=timeout_s), stop)
        before = silent


def end_all(
    processes: Iterable[Process], end: Callable[[Process], object], stop: threading.Event
) -> None:
    """Until `stop` is set; one whose node is lost is gone already and keeps no other alive."""
    import ray

    for process in processes:
        if stop.is_set():
            return
        with suppress(ray.exceptions.RayError):
            end(process)


def _end(process: Process, timeout_s: float) -> None:
    import ray

    if ray.get(call_on(process.node_id, Process.end, process), timeout=ANSWER_TIMEOUT_S):
        event("silent worker ended", pid=process.pid, node=process.node_id, silent_s=timeout_s)
