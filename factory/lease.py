"""One run at a time in a folder: a file says whose it is and is refreshed while the run lives.

A run whose process is gone leaves a lease behind: on the same machine it is taken over at once,
from another machine when it has not been refreshed for a while. Where two runs begin in the same
moment the later writer has the folder, and the other one notices and ends.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from factory.ending import Ending
from factory.errors import FolderLost, InputError
from schemas.files import is_local, read_bytes, remove, write_atomically
from workers.process import started

LEASE = "lease.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whose a folder is."""

    host: str
    machine: str
    """Boot and process namespace: where equal, process ids mean the same."""
    pid: int
    started: str
    """When the process started, in the kernel's ticks: a later one with its id is another."""
    token: str
    refreshed: float
    """Unix time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds."""

    refresh_s: float = 10.0
    stale_s: float = 60.0
    """Not refreshed for so long, a lease is nobody's."""
    settle_s: float = 0.3
    """Between writing a lease and looking whether it is still there."""


class Lease:
    """`with Lease(folder, ending):` the folder is ours, or InputError says whose it is.

    Where it is lost the block ends with FolderLost, whoever meets that first. So does the earlier
    of two that begin in the same moment.
    """

    def __init__(
        self,
        folder: Path,
        ending: Ending,
        *,
        say: Callable[[str], object] = lambda line: None,
        patience: Patience = Patience(),
    ) -> None:
        self._folder = folder
        self._path = folder / LEASE
        self._ending = ending
        self._say = say
        self._patience = patience
        self._mine = _this_process()
        self._device: int | None = None
        """Of a local folder: another one once the file system that it was on is gone."""
        self._is_lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        if (other := read_holder(self._path)) is not None:
            self._wait_for(other)
        self._write()
        self._device = _device(self._folder)
        time.sleep(self._patience.settle_s)
        if not self._is_ours():
            raise self._taken()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        cause = self._ending.cause_of(error)
        if cause is None or (isinstance(cause, Exception) and not isinstance(cause, FolderLost)):
            self._tell_if_lost(cause)
        with suppress(Exception):  # a lease that is left behind goes stale by itself
            if self._is_ours():
                remove(self._path)

    def has_folder(self) -> bool:
        """Whether what is written now comes into this run's folder, as far as is known: nobody took
        it and, where it is local, its file system is there. Asked by all who write beside a job's
        main thread, since nothing else would keep them from making it anew."""
        with suppress(OSError):
            return not self._is_lost and _device(self._folder) == self._device
        return False

    def check(self) -> None:
        """Raises FolderLost; before what the main thread would make anew."""
        if not self.has_folder():
            self._tell_if_lost(None)

    def _tell_if_lost(self, error: Exception | None) -> None:
        """What is met in a folder that is lost is nothing but that."""
        try:
            self._look()
        except FolderLost as lost:
            raise lost from error
        except Exception:  # of the storage: whatever comes next says as much
            return

    def _wait_for(self, other: Holder) -> None:
        """Returns when the folder is nobody's."""
        if other.machine == self._mine.machine:
            if not _is_alive(other):
                return
            raise InputError(
                f"{self._folder} is in use by process {other.pid} on {other.host}: wait for it to "
                "end, or choose another --out"
            )
        refresh_s, stale_s = self._patience.refresh_s, self._patience.stale_s
        age_s = time.time() - other.refreshed  # clocks differ: some silence has to be seen here
        wait_s = min(max(stale_s - age_s, 2.5 * refresh_s), stale_s)
        self._say(
            f"{self._folder} was in use by process {other.pid} on {other.host}: waiting "
            f"{wait_s:.0f} s to see whether it still is"
        )
        until_s = time.monotonic() + wait_s
        while time.monotonic() < until_s:
            time.sleep(min(refresh_s / 2, max(until_s - time.monotonic(), 0.0)))
            now = read_holder(self._path)
            if now is None:
                return
            if now != other:
                raise InputError(
                    f"{self._folder} is in use by process {now.pid} on {now.host}: wait for it to "
                    "end, or choose another --out"
                )

    def _write(self) -> None:
        content = asdict(self._mine) | {"refreshed": time.time()}
        write_atomically(self._path, json.dumps(content) + "\n")

    def _is_ours(self) -> bool:
        found = read_holder(self._path)
        return found is not None and found.token == self._mine.token

    def _taken(self) -> FolderLost:
        found = read_holder(self._path)
        who = f"process {found.pid} on {found.host}" if found else "somebody"
        return FolderLost(f"{self._folder} was taken over by {who}: this run ends")

    def _look(self) -> None:
        """Raises FolderLost where the folder is another run's or on another file system, OSError
        where it is away. A file system that comes back may have another number."""
        found = read_holder(self._path)
        if found is not None and found.token != self._mine.token:
            self._is_lost = True
            raise self._taken()
        if found is not None:
            self._device = _device(self._folder)
        elif _device_around(self._folder) != self._device:
            self._is_lost = True
            raise FolderLost(
                f"{self._folder} is on another file system than when this run began: mount that "
                "one again and run the same command to go on"
            )

    def _keep(self) -> None:
        """Refreshes until told to stop; storage may be away for a while, but not for longer than
        others would wait."""
        last_s = time.monotonic()
        while not self._stop.wait(self._patience.refresh_s):
            try:
                self._look()
                _device(self._folder)  # which writing would make anew
                self._write()
                last_s = time.monotonic()
            except FolderLost as lost:
                self._ending.fail(lost)
                return
            except Exception as error:  # each store's client raises errors of its own
                if time.monotonic() - last_s > self._patience.stale_s:
                    self._ending.fail(error)
                    return


def read_holder(path: Path) -> Holder | None:
    """Whose the folder is; `None` where nobody says so, or nothing that can be read."""
    try:
        return Holder(**json.loads(read_bytes(path)))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None


def _device(folder: Path) -> int | None:
    """Of a local folder; raises OSError where it is not there."""
    return os.stat(folder).st_dev if is_local(folder) else None


def _device_around(folder: Path) -> int | None:
    """Of a local folder or, where it is not there, of the nearest one around it that is: a file
    system that is gone has its mount point left."""
    if not is_local(folder):
        return None
    around = next(path for path in (folder, *folder.parents) if path.exists())
    return os.stat(around).st_dev


def _this_process() -> Holder:
    return Holder(
        host=socket.gethostname(),
        machine=_machine(),
        pid=os.getpid(),
        started=started(os.getpid()) or "",
        token=uuid.uuid4().hex,
        refreshed=0.0,
    )


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux
        return socket.gethostname()


def _is_alive(holder: Holder) -> bool:
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    now = started(holder.pid)
    return now is None or now == holder.started
