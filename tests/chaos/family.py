"""The processes of a run: all that descend from this one, whoever started them and died since."""

import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """From now on a descendant whose parent dies becomes a child of this process."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this system has no child subreaper")


def descendants() -> list[psutil.Process]:
    """Those that run; the dead stay unburied until this process ends."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if _is_running(process)]


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def engine_workers() -> list[psutil.Process]:
    """The actors that host engines."""
    return [p for p in descendants() if "EngineWorker" in title(p)]


def engine_cores() -> list[psutil.Process]:
    """The processes that engines depend on."""
    workers = {p.pid for p in engine_workers()}
    return [p for p in descendants() if _is_core(p) and _parent(p) in workers]


def is_of_an_engine(process: psutil.Process) -> bool:
    """An actor that hosts an engine, or what the engine depends on."""
    return "EngineWorker" in title(process) or _is_core(process)


def _is_core(process: psutil.Process) -> bool:
    return _name(process) == "cat" or "EngineCore" in title(process)


def is_of_a_node(process: psutil.Process) -> bool:
    """Ray's own processes, on which those of a node depend."""
    return _name(process) in ("raylet", "gcs_server")


def title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.Error:
        return 0


def describe(process: psutil.Process) -> str:
    """For a message about a process that should not be there."""
    return f"{process.pid} {title(process)[:200] or _name(process)}"


def send(process: psutil.Process, what: signal.Signals) -> bool:
    """Whether it was still there to be sent anything."""
    try:
        process.send_signal(what)
    except psutil.NoSuchProcess:
        return False
    return True


def end(processes: list[psutil.Process]) -> None:
    """Kills these at once."""
    for process in processes:
        send(process, signal.SIGKILL)
    wait_until_gone(processes, 10)


def wait_until_gone(processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Those that are still there after this long."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        there = set(descendants())
        processes = [p for p in processes if p in there]
        if not processes:
            return []
        time.sleep(0.1)
    return processes


def shared_memory_left(before: set[str]) -> list[str]:
    """Files in /dev/shm that were not there before and that no process holds."""
    new = {str(f): f for f in Path("/dev/shm").iterdir() if str(f) not in before}
    if not new:
        return []
    held = set().union(*map(_held, psutil.process_iter()))
    return sorted(name for name, file in new.items() if _identity(file) not in held)


def _held(process: psutil.Process) -> set[tuple[int, int]]:
    """Files it has mapped or open, by device and inode: a semaphore's name when it was mapped is
    not the one that it is found by."""
    held = set()
    with suppress(OSError):
        for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines():
            device, inode = line.split()[3:5]
            held.add((os.makedev(*(int(part, 16) for part in device.split(":"))), int(inode)))
        opened = map(_identity, Path(f"/proc/{process.pid}/fd").iterdir())
        held |= {file for file in opened if file is not None}
    return held


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
