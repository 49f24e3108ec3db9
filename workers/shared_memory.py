"""Shared memory of killed engines: written down while it is held, removed when nobody holds it.

An engine of several processes talks through files in /dev/shm, which outlive processes that are
killed together. A file is removed only if an engine of ours had it mapped, by name and inode, and
no process has it mapped or open any more.
"""

import os
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workers.beside import beside

PROC = Path("/proc")
DEVICE = Path("/dev/shm")
PYTHONS = ("psm_*", "sem.mp-*")
"""What Python names its blocks and semaphores; other libraries clear theirs away."""
MAPPED = re.compile(rf"(?m)^\S+ \S+ \S+ \S+ (\d+) +{DEVICE}/")
"""The inode: glibc creates a semaphore under another name than it has later."""
RECORD = "shared-memory"
INTERVAL_S = 2.0


@contextmanager
def recording(folder: Path) -> Iterator[None]:
    """Inside the block, in which an engine opens, its record is kept up in this folder."""

    def repeat(is_open: threading.Event) -> None:
        while not is_open.wait(INTERVAL_S):  # it may be killed before it is open
            record(folder)

    try:
        with beside("shared-memory", repeat):
            yield
    finally:
        record(folder)


def record(folder: Path) -> None:
    """Writes down what this process and those below it have mapped."""
    held = {inode for pid in _family(os.getpid()) for inode in _held(pid)}
    lines = [f"{inode} {name}\n" for name, inode in _ours().items() if inode in held]
    if not lines:
        return
    with suppress(OSError):  # a folder that is gone or full: the engine matters more
        unfinished = folder / f".{RECORD}"
        unfinished.write_text("".join(lines))
        unfinished.rename(folder / RECORD)


def remove_recorded(folder: Path) -> bool:
    """Removes what is recorded there and nobody holds; whether nothing of it is left."""
    recorded = _recorded(folder) & _ours().items()
    if not recorded:
        return True
    held = {inode for pid in _pids() for inode in _held(pid)}
    for name, inode in recorded:
        if inode not in held:
            (DEVICE / name).unlink(missing_ok=True)
    return not any(inode in held for _, inode in recorded)


def _recorded(folder: Path) -> set[tuple[str, int]]:
    try:
        lines = (folder / RECORD).read_text().splitlines()
    except FileNotFoundError:
        return set()
    pairs = (line.split(" ", 1) for line in lines)
    return {(name, int(inode)) for inode, name in pairs}


def _ours() -> dict[str, int]:
    """The inodes of this user's blocks and semaphores, by name."""
    found = {}
    for pattern in PYTHONS:
        for file in DEVICE.glob(pattern):
            with suppress(OSError):
                stat = file.stat()
                if stat.st_uid == os.geteuid():
                    found[file.name] = stat.st_ino
    return found


def _held(pid: int) -> set[int]:
    """Inodes of shared memory that a process has mapped or open; none of one we may not look at.

    That one is another user's, and the files let in their owner alone.
    """
    found: set[int] = set()
    with suppress(OSError):
        found |= set(map(int, MAPPED.findall((PROC / str(pid) / "maps").read_text())))
        for opened in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                if os.readlink(opened).startswith(f"{DEVICE}/"):
                    found.add(opened.stat().st_ino)
    return found


def _pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    children = defaultdict(list)
    for other in _pids():
        with suppress(OSError):
            stat = (PROC / str(other) / "stat").read_text()
            children[int(stat.rpartition(")")[2].split()[1])].append(other)
    family = [pid]
    for one in family:  # grows while it is walked
        family += children[one]
    return family
