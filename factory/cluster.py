"""The Ray cluster a job runs on: the one at RAY_ADDRESS, or a local one started for it."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LOCAL_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_COLOR_PREFIX": "0",
    # Small machines start few workers at a time and warn of every further one.
    "RAY_worker_maximum_startup_concurrency": "8",
    # The driver would print Ray's own remarks about Ray Data's actors.
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}
LOCAL_CPUS = 4
"""Ray Data's bookkeeping actors reserve whole CPUs while they mostly sleep: a machine with fewer
cores would otherwise have none left for the tasks they wait for."""
OBJECT_STORE_BYTES = 256 << 20


@contextmanager
def open_cluster() -> Iterator[None]:
    """Connects, or starts a local cluster; on the way out leaves it, and stops what it started.

    A Ray that is initialised already is used and left alone.
    """
    for name, value in LOCAL_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    with _silent_stderr():
        if address:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        else:
            ray.init(
                address="local",
                num_cpus=max(LOCAL_CPUS, os.cpu_count() or 1),
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
            )
    _quieten_ray_data()
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Drops what C++ code writes to the error stream: Ray announces its own log level there.

    What goes wrong meanwhile is raised as an exception and not lost.
    """
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _quieten_ray_data() -> None:
    """Ray Data tells of each operator on the console; the stage's own progress says it better."""
    from ray.data import DataContext

    DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
