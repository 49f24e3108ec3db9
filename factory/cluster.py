"""The Ray cluster a job runs on: the one at RAY_ADDRESS, or a local one started for it."""

import logging
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import ceil
from typing import Any

from factory.errors import InputError, shortened
from workers.scratch import remove_abandoned

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
LOCAL_CPUS = 2
"""Beside what engines reserve: Ray Data's bookkeeping actors reserve whole CPUs while they mostly
sleep, and on a machine with few cores none would be left for the tasks they wait for. A local
cluster's CPUs are only numbers, so there are as many as the job asks for."""
OBJECT_STORE_BYTES = 256 << 20
CONNECT_TIMEOUT_S = 10.0
STARTS = 3
"""Of a local cluster, before it is given up."""
TOO_SLOW = "timed out during startup"


@contextmanager
def open_cluster(engine_cpus: float = 1) -> Iterator[None]:
    """Connects, or starts a local cluster; on the way out leaves it, and stops what it started.

    SIGTERM does inside and afterwards what it did before, where somebody has said what that is.
    A Ray that is initialised already is used and left alone. Raises InputError when no cluster
    answers at RAY_ADDRESS.
    """
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        for name, value in LOCAL_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield
        return
    on_sigterm = signal.getsignal(signal.SIGTERM)
    if address:
        connect(address, ray.init)
    else:
        _start_local(max(os.cpu_count() or 1, ceil(engine_cpus) + LOCAL_CPUS))
    _quieten_ray_data()
    _handle_sigterm(on_sigterm)
    try:
        yield
    finally:
        ray.shutdown()
        _handle_sigterm(on_sigterm)
        with suppress(Exception):  # no reason to end by another error
            remove_abandoned()  # of a worker that was killed while the cluster ended


def _handle_sigterm(handler: Any) -> None:
    """Ray puts a handler of its own in place when it starts, and none at all when it ends, which
    Python is not told of."""
    if callable(handler) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def connect(address: str, init: Callable[..., object]) -> None:
    """Raises InputError for an address that is none, and where nothing answers."""
    if "://" in address and not address.startswith("ray://"):
        raise InputError(
            f"RAY_ADDRESS={address}: that is for --address of 'prm-factory submit'; RAY_ADDRESS "
            "takes host:port or auto"
        )
    _check_reachable(address)
    try:
        init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(
            f"no Ray cluster can be used at RAY_ADDRESS={address} ({shortened(error)}): start one, "
            "or unset RAY_ADDRESS to run on this machine alone"
        ) from error


def _start_local(num_cpus: int) -> None:
    """Ray gives its processes half a minute, which a busy machine or a slow disk may need longer
    than. Raises InputError when it does not start."""
    import ray

    for tries_left in reversed(range(STARTS)):
        try:
            with _silent_stderr():
                ray.init(
                    address="local",
                    num_cpus=num_cpus,
                    object_store_memory=OBJECT_STORE_BYTES,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            return
        except Exception as error:  # Ray raises just that
            if TOO_SLOW not in str(error):
                raise
            if not tries_left:
                raise InputError(
                    f"Ray did not start in {STARTS} tries: this machine is busy or its disk slow; "
                    "try again later, or start Ray yourself with 'ray start --head' and set "
                    "RAY_ADDRESS"
                ) from error
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes without a word."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # "auto", "local" and the like are Ray's to understand
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise InputError(
            f"no Ray cluster answers at RAY_ADDRESS={address} ({error}): "
            "start it, or unset RAY_ADDRESS to run on this machine alone"
        ) from error


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
    # `max_restarts` has no other way in than the one Ray is about to change.
    warnings.filterwarnings("ignore", message="`ray_remote_args(_fn)?` is deprecated")
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
