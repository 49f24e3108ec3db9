"""A cluster of several raylets on this machine, whose nodes can be lost and replaced."""

import os
import signal
from typing import Any

import psutil
from ray.cluster_utils import Cluster

from tests.chaos.family import descendants, end, is_of_a_node, send

NOTICED_SOON = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 4,
}
"""A node that is gone is dead after about two seconds, one that says nothing after ten."""
START_S = 300
"""A crowded machine takes its time."""
STARTS = 5
"""Of a node, before it is given up."""
NUM_NODES = 2
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_worker_niceness": "0",
    "RAY_worker_maximum_startup_concurrency": "8",
}


class Machines:
    """A head that only keeps the books, and nodes that do the work."""

    def __init__(self) -> None:
        os.environ |= ENVIRONMENT
        self._cluster = Cluster()
        self._start(num_cpus=0, include_dashboard=False, _system_config=NOTICED_SOON)
        for _ in range(NUM_NODES):
            self.add_node()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add_node(self) -> None:
        self._start(num_cpus=3)
        self._cluster.wait_for_nodes(START_S)

    def _start(self, **options: Any) -> None:
        """Ray gives a node half a minute to start; a crowded machine takes several attempts."""
        before = set(descendants())
        for attempts_left in reversed(range(STARTS)):
            try:
                self._cluster.add_node(wait=False, object_store_memory=80 << 20, **options)
                return
            except Exception:  # Ray raises no class of its own
                if not attempts_left:
                    raise
                end([p for p in descendants() if p not in before and is_of_a_node(p)])

    def raylets(self) -> list[psutil.Process]:
        """Of the nodes that work."""
        return [psutil.Process(_raylet_pid(node)) for node in self._cluster.worker_nodes]

    def bury(self, raylet: psutil.Process) -> None:
        """Clears away what is left of a node, and puts another in its place."""
        [node] = [n for n in self._cluster.worker_nodes if _raylet_pid(n) == raylet.pid]
        send(raylet, signal.SIGKILL)
        node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
        self._cluster.worker_nodes.remove(node)
        self.add_node()

    def end(self) -> None:
        """The power fails: everything that descends from this process is gone at once."""
        self._cluster.shutdown()
        end(descendants())


def _raylet_pid(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)
