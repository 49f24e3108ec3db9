"""A zygote as its owner sees it: a command, a socket, and answers that are checked before use."""

import contextlib
import json
import logging
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Any

from workers.sandbox import child, watch, zygote
from workers.sandbox.cells import CellResult, CellStatus, Limits
from workers.sandbox.launch import Launch

_STATUSES = {
    child.OK: CellStatus.OK,
    child.ERROR: CellStatus.ERROR,
    child.MEMORY: CellStatus.MEMORY,
    watch.TIMEOUT: CellStatus.TIMEOUT,
    watch.FLOOD: CellStatus.FLOOD,
    watch.KILLED: CellStatus.KILLED,
    watch.REPLAY: CellStatus.REPLAY,
}
_START_S = 120.0
"""Importing sympy on a crowded machine with cold disks."""
_GRACE_S = 30.0
"""Beyond the cells' own time; a zygote that is silent for longer is given up."""
_MAX_MESSAGE_BYTES = 1 << 16

_log = logging.getLogger(__name__)


class Lost(Exception):
    """The zygote is gone or cannot be believed any more."""


class ZygoteProcess:
    """Started, asked and stopped by one thread. It has met untrusted code: nothing is believed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def start(self, launch: Launch) -> None:
        """Raises Lost with what the zygote, or what was put around it, said."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            if self._is_closed:
                ours.close()
                raise Lost("the sandbox was closed")
            self._control = ours
            self._process = subprocess.Popen(
                launch.command,
                env=launch.environment,
                cwd="/",
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C at the owner's terminal is the owner's to answer
            )
        try:
            letter, body = self._receive(time.monotonic() + _START_S, _MAX_MESSAGE_BYTES)
        except Lost as error:
            raise Lost(self._last_words() or str(error)) from None
        if letter != zygote.READY:
            self.stop()
            raise Lost(body.decode(errors="replace"))
        facts: dict[str, Any] = json.loads(body)
        _log.info("Sandbox: %s, Landlock ABI %s", launch.isolation, facts.get("landlock_abi"))

    def ask(self, cells: Sequence[str]) -> CellResult:
        """Raises Lost if the zygote dies, says nothing in time, or something impossible."""
        assert self._control is not None
        deadline = time.monotonic() + self._limits.wall_s * len(cells) + _GRACE_S
        request = json.dumps(list(cells)).encode()
        try:
            self._control.settimeout(deadline - time.monotonic())
            self._control.sendall(zygote.LENGTH.pack(len(request)) + request)
        except OSError as error:
            raise Lost(str(error)) from None
        letter, output = self._receive(deadline, max(self._limits.output_bytes, 4096))
        if letter not in _STATUSES:
            raise Lost(output.decode(errors="replace"))
        return CellResult(output=output.decode(errors="replace"), status=_STATUSES[letter])

    def is_running(self) -> bool:
        """As far as can be seen without asking."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Kills and reaps it. Its forks need no signal: the kernel ends them with it."""
        with self._lock:
            if self._control is not None:
                self._control.close()
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                assert self._process.stderr is not None
                self._process.stderr.close()
            self._control = self._process = None

    def close(self) -> None:
        """From any thread: kills it for good; the keeper that waits for it hears of it at once."""
        self._is_closed = True
        with self._lock:
            if self._process is not None:
                self._process.kill()
            if self._control is not None:
                with contextlib.suppress(OSError):  # it may be gone already
                    self._control.shutdown(socket.SHUT_RDWR)

    def _last_words(self) -> str:
        process = self._process
        assert process is not None
        assert process.stderr is not None
        process.kill()
        words = _read_soon(process.stderr.fileno()).decode(errors="replace").strip()
        self.stop()
        return words[-1000:]

    def _receive(self, deadline: float, max_bytes: int) -> tuple[bytes, bytes]:
        letter, length = zygote.REPLY.unpack(self._exactly(zygote.REPLY.size, deadline))
        if length > max_bytes:
            raise Lost(f"it announced {length:,} bytes, more than the {max_bytes:,} possible")
        return letter, self._exactly(length, deadline)

    def _exactly(self, num_bytes: int, deadline: float) -> bytes:
        assert self._control is not None
        received = bytearray()
        while len(received) < num_bytes:
            left_s = deadline - time.monotonic()
            try:
                if left_s <= 0:
                    raise TimeoutError
                self._control.settimeout(left_s)
                part = self._control.recv(num_bytes - len(received))
            except TimeoutError:
                raise Lost("it was silent for too long") from None
            except OSError as error:
                raise Lost(str(error)) from None
            if not part:
                raise Lost("it died")
            received += part
        return bytes(received)


def _read_soon(fd: int) -> bytes:
    """What is written there, to its end or for a second: something killed may hold it open yet."""
    deadline = time.monotonic() + 1.0
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    found = bytearray()
    while len(found) < _MAX_MESSAGE_BYTES:
        if not poll.poll(1000 * max(0.0, deadline - time.monotonic())):
            break
        part = os.read(fd, _MAX_MESSAGE_BYTES - len(found))
        if not part:
            break
        found += part
    return bytes(found)
