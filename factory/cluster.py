"""The Ray cluster a job runs on: the one at RAY_ADDRESS, or a local one started for it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

LOCAL_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_COLOR_PREFIX": "0",
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


def _quieten_ray_data() -> None:
    """Ray Data tells of each operator on the console; the stage's own progress says it better."""
    from ray.data import DataContext

    DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
