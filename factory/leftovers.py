"""Clears what killed workers left on the nodes of a cluster: engines' folders and shared memory.

An engine clears it before it opens; after a stage's last one it would stay.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from factory.engine_actors import call_on, cluster_nodes
from factory.spending import ANSWER_TIMEOUT_S
from workers.beside import beside
from workers.process import Process
from workers.scratch import remove_abandoned

PATIENCE_S = 20.0
"""With workers that are still ending; what those leave that take longer, the next engine clears."""
CLEAR_TIMEOUT_S = 50.0
"""For the nodes, waiting included."""
LAST_PATIENCE_S = 10.0
"""With all of it, after an error: nothing may still ask Ray when it is shut down."""
POLL_S = 0.1


@contextmanager
def nodes_cleared(
    workers: Callable[[float], Iterable[Process]], last_patience_s: float = LAST_PATIENCE_S
) -> Iterator[None]:
    """Clears them when the block is left, in which these were the workers; who asks for them says
    how many seconds that may take.

    Where an error ends the block, nothing that goes wrong here hides it, nor holds it up for long.
    """

    def clear(stop: threading.Event) -> None:
        with suppress(Exception):
            clear_nodes(workers(0.2 * last_patience_s), timeout_s=0.7 * last_patience_s)

    try:
        yield
    except BaseException:
        with beside("leftovers", clear, patience_s=last_patience_s):
            pass
        raise
    clear_nodes(workers(ANSWER_TIMEOUT_S))


def clear_nodes(workers: Iterable[Process], timeout_s: float = CLEAR_TIMEOUT_S) -> None:
    """On every node that is alive, once those of these workers that ran there are gone.

    What cannot be done in time is left: it is no reason to hold up a job.
    """
    import ray

    workers = list(workers)
    patience_s = min(PATIENCE_S, 0.5 * timeout_s)  # Ray starts a process for it first
    cleared = [
        call_on(
            node.node_id, clear_after, [w for w in workers if w.node_id == node.node_id], patience_s
        )
        for node in cluster_nodes()
    ]
    ray.wait(cleared, num_returns=len(cleared), timeout=timeout_s)


def clear_after(workers: list[Process], patience_s: float = PATIENCE_S) -> None:
    """On this machine."""
    deadline_s = time.monotonic() + patience_s
    while any(worker.is_there() for worker in workers) and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
    remove_abandoned()
