"""The process that cells are forked from: sympy imported once, nothing run.

It is a program of its own, single-threaded, inside the isolation that `launch` put around it. It
does what the fork must not be trusted with: it keeps the clock, counts the output, reads how the
process ended, and reports. The owner sends one request at a time.
"""

import contextlib
import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from workers.sandbox import child, landlock, seccomp, user, warm
from workers.sandbox.cells import Limits
from workers.sandbox.watch import Ending, Watch

LENGTH = struct.Struct("!I")
"""Owner to zygote: the length of a JSON list of cells."""
REPLY = struct.Struct("!cI")
"""Zygote to owner: a letter and the length of what follows it."""
READY, BROKEN = b"R", b"B"
"""Up, followed by JSON; or cannot work, followed by why."""
_SELF_TEST = """
import os, socket
done = 0
for act in (os.fork, socket.socket, lambda: open("/etc/passwd"), lambda: os.mkdir("/x")):
    try:
        act()
    except OSError:
        continue
    done += 1
if done:
    print(done)
"""
"""Prints something if a lock is missing."""
_PR_SET_PDEATHSIG = 1
_SETUP_S = 20.0
"""Locking takes a millisecond; a crowded machine may take its time over the first."""
_NUM_FDS = 64

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the owner decided, as it travels in JSON."""

    owner: int | None
    """The process to die with; None inside a PID namespace, which ends by itself."""
    sites: list[str]
    is_locked: bool
    needs_landlock: bool
    uid: int | None
    """The user to become, being root."""
    limits: Limits


class _Broken(Exception):
    """The locks do not hold, or no process can be made: nothing may run."""


def main(config: dict[str, Any]) -> None:
    """Serves requests that come over stdin, a socket, until the owner closes its end or dies."""
    settings = Settings(**config | {"limits": Limits(**config["limits"])})
    control = socket.socket(fileno=os.dup(0))
    _close_stdin()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        locks = _prepare(settings)
        cells = [_SELF_TEST] if settings.is_locked else [""]
        patient = replace(settings, limits=replace(settings.limits, wall_s=_SETUP_S))
        ending = _execute(cells, locks, patient, control)
        if ending != Ending(child.OK, b""):
            raise _Broken(f"the locks do not hold: {ending}")
    except Exception as error:  # the owner must hear of it, whatever it is
        _send(control, BROKEN, f"{type(error).__name__}: {error}".encode())
        return
    os.dup2(1, 2)
    _send(control, READY, json.dumps({"landlock_abi": landlock.abi(), "uid": os.getuid()}).encode())
    while header := control.recv(LENGTH.size, socket.MSG_WAITALL):
        cells = json.loads(control.recv(LENGTH.unpack(header)[0], socket.MSG_WAITALL))
        try:
            ending = _execute(cells, locks, settings, control)
        except (_Broken, OSError) as error:
            _send(control, BROKEN, f"{type(error).__name__}: {error}".encode())
            return
        _send(control, ending.letter, ending.output)


def _close_stdin() -> None:
    """Whoever reads from it finds its end at once, and no file of this machine."""
    end, other = os.pipe()
    os.close(other)
    os.dup2(end, 0)
    os.close(end)


def _prepare(settings: Settings) -> child.Locks:
    """Imports, gives up what this process may do, and makes the locks of its forks."""
    sys.path += settings.sites
    warm.up()
    folders = [os.path.dirname(os.__file__), *settings.sites]
    for name in [name for name in sys.modules if name.partition(".")[0] == "workers"]:
        del sys.modules[name]
    ruleset = program = None
    if settings.is_locked:
        program = seccomp.make_filter()
        if landlock.abi() > 0 or settings.needs_landlock:
            ruleset = landlock.make_ruleset(folders)
    fds = user.become(settings.uid, folders) if settings.uid is not None else []
    if settings.owner is not None:
        _die_with(settings.owner)
    os.chdir("/")
    for name in set(os.environ) - warm.VARIABLES:
        del os.environ[name]
    resource.setrlimit(resource.RLIMIT_NOFILE, (_NUM_FDS, _NUM_FDS))
    if settings.is_locked:
        landlock.forbid_new_privileges()
    if ruleset is not None:
        landlock.restrict(ruleset)  # the zygote too: it reads what untrusted code wrote
    gc.collect()
    gc.freeze()
    return child.Locks(
        ruleset=ruleset,
        program=program,
        fds=fds,
        folders=folders,
        memory_bytes=settings.limits.memory_bytes,
        cpu_s=settings.limits.cpu_s,
    )


def _die_with(parent: int) -> None:
    """Killed by the kernel when the parent is gone. A change of user undoes it."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _execute(
    cells: Sequence[str], locks: child.Locks, settings: Settings, control: socket.socket
) -> Ending:
    """Forks, watches, kills and reaps. Raises _Broken where the fork could not be locked in."""
    nonce = os.urandom(child.NONCE_BYTES)
    output_fd, child_output_fd = os.pipe()
    setup_fd, child_setup_fd = os.pipe()
    zygote = os.getpid()
    pid = os.fork()
    if pid == 0:
        _be_child(zygote, cells, locks, nonce, child_output_fd, child_setup_fd)
    os.close(child_output_fd)
    os.close(child_setup_fd)
    pidfd = os.pidfd_open(pid)
    try:
        _await_locks(setup_fd)
        watch = Watch(pid, pidfd, output_fd, control, nonce, settings.limits)
        return watch.until_the_end(len(cells))
    finally:
        _end(pid, pidfd)
        for fd in (pidfd, output_fd, setup_fd):
            os.close(fd)


def _be_child(zygote: int, cells: Sequence[str], locks: child.Locks, *rest: Any) -> NoReturn:
    try:
        _die_with(zygote)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        child.run(cells, locks, *rest)
    finally:
        os._exit(1)


def _await_locks(setup_fd: int) -> None:
    said, deadline = b"", time.monotonic() + _SETUP_S
    while select.select([setup_fd], [], [], max(deadline - time.monotonic(), 0))[0]:
        part = os.read(setup_fd, 4096)
        said += part
        if not part:
            break
    if said != child.LOCKED:
        raise _Broken(said.decode(errors="replace") or "a fork died before it was locked in")


def _end(pid: int, pidfd: int) -> None:
    """Kills and reaps, unless it is reaped already and its number may be another's."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)


def _send(control: socket.socket, letter: bytes, body: bytes) -> None:
    control.sendall(REPLY.pack(letter, len(body)) + body)
