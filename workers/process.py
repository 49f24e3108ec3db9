"""Names a process so that it can be ended later: its id alone may be another's by then."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process of a cluster's node."""

    node_id: str
    pid: int
    started: str
    """In the kernel's ticks."""

    @classmethod
    def this(cls, node_id: str) -> Self:
        return cls(node_id=node_id, pid=os.getpid(), started=started(os.getpid()) or "")

    def is_there(self) -> bool:
        """Called on its node."""
        return started(self.pid) == self.started

    def end(self) -> bool:
        """Kills it, called on its node; whether it was there."""
        if not self.is_there():
            return False
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return True


def started(pid: int) -> str | None:
    """Field 22 of the process's stat, empty for one that only waits to be buried; `None` where
    there is no such process or no /proc.

    While others of its threads are still ending it holds its files and locks.
    """
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    num_threads = int(rest[16])
    return "" if state == "Z" and num_threads <= 1 else rest[18]
