"""Temporary folders that do not outlive their process for long.

A process that is killed clears nothing away. So each folder holds a file that its process keeps
locked, and whoever makes the next folder removes those that nobody holds any more, with the shared
memory that is recorded in them.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.shared_memory import remove_recorded

PREFIX = "prm-factory-"
LOCK = "in-use"


class Scratch:
    """A folder of this process, and of those it forks, until it is removed or they are gone."""

    def __init__(self, purpose: str) -> None:
        remove_abandoned()
        self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-"))
        # Named when it is locked: until then the folder is nobody's to remove.
        unnamed = self.path / f".{LOCK}"
        self._lock = unnamed.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unnamed.rename(self.path / LOCK)

    def remove(self) -> None:
        """May be called twice. While others hold recorded memory it is left to the next folder."""
        _remove(self.path)
        self._lock.close()


@contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """A folder inside the block."""
    folder = Scratch(purpose)
    try:
        yield folder.path
    finally:
        folder.remove()


def remove_abandoned() -> None:
    """Removes folders whose processes are gone; those of others that run are left alone.

    Where a child of such a process still holds shared memory the folder stays for the next time.
    """
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        try:
            with lock.open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(lock.parent)
        except OSError:
            continue  # in use, gone already, or another user's


def _remove(folder: Path) -> None:
    """With the shared memory that is recorded in it, or not yet."""
    if remove_recorded(folder):
        shutil.rmtree(folder, ignore_errors=True)
