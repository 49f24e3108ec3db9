"""One execution: a fork of the zygote that locks itself in and then runs what it was given.

Untrusted code shares this process with the code below and can do to it whatever it likes. So
nothing here is believed but what cannot do harm: the marks in the stream say where a cell ended and
whether it raised, which the cell decides anyway, and forging one ends the cell that forged it.
"""

import builtins
import contextlib
import io
import itertools
import linecache
import math
import mmap
import os
import random
import resource
import sys
import traceback
import types
from collections.abc import Sequence
from dataclasses import dataclass

from workers.sandbox import landlock, seccomp

NONCE_BYTES = 16
MARK_BYTES = NONCE_BYTES + 1
"""A mark is a number drawn for this execution and a letter."""
OK, ERROR, MEMORY = b"o", b"e", b"m"
LOCKED = b"locked"
"""What the setup pipe carries once the locks hold; anything else is why they do not."""
NUM_FDS = 32
_STACK_BYTES = 8 << 20
_BALLAST_BYTES = 8 << 20
"""Given back when memory is exhausted, so that there is some for saying so; never touched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locks:
    """What an execution is locked in with; made once in the zygote."""

    ruleset: int | None
    """Landlock's, or None where something else keeps the files away."""
    program: seccomp.Filter | None
    fds: Sequence[int]
    """Folders that stay open because modules are found through them."""
    folders: Sequence[str]
    """Where modules lie, which is nobody's business."""
    memory_bytes: int
    cpu_s: float


def run(cells: Sequence[str], locks: Locks, nonce: bytes, output_fd: int, setup_fd: int) -> None:
    """Runs the cells in one namespace with a mark after each. Never returns."""
    try:
        os.dup2(output_fd, 1)
        os.dup2(output_fd, 2)
        _lock(locks, len(cells), setup_fd)
    except BaseException as error:  # whatever it is: without its locks, nothing runs
        with contextlib.suppress(OSError):
            os.write(setup_fd, f"{type(error).__name__}: {error}".encode())
        os._exit(1)
    os.write(setup_fd, LOCKED)
    os.close(setup_fd)
    _run_cells(cells, nonce, locks.folders)
    os._exit(0)


def _lock(locks: Locks, num_cells: int, setup_fd: int) -> None:
    """In this order: each lock forbids what the ones before it need."""
    if locks.ruleset is not None:
        landlock.restrict(locks.ruleset)
    _close_all_but({0, 1, 2, setup_fd, *locks.fds})
    for what, limit in (
        # A backstop: the zygote looks at the clock of each cell.
        (resource.RLIMIT_CPU, math.ceil(locks.cpu_s * num_cells) + 1),
        (resource.RLIMIT_AS, locks.memory_bytes),
        (resource.RLIMIT_STACK, _STACK_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, NUM_FDS),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        hard = resource.getrlimit(what)[1]
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (allowed, allowed))
    if locks.program is not None:
        seccomp.restrict(locks.program)


def _close_all_but(kept: set[int]) -> None:
    bounds = [*sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for fd, next_fd in itertools.pairwise(bounds):
        os.closerange(fd + 1, next_fd)


def _run_cells(cells: Sequence[str], nonce: bytes, folders: Sequence[str]) -> None:
    stream = io.TextIOWrapper(
        io.FileIO(1, "w", closefd=False), "utf-8", errors="replace", write_through=True
    )
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    sys.argv = [""]
    random.seed(0)  # Python seeds it afresh in every fork
    ballast = mmap.mmap(-1, _BALLAST_BYTES, mmap.MAP_PRIVATE)
    for number, cell in enumerate(cells, 1):
        vars(sys).update(stdout=stream, stderr=stream, __stdout__=stream, __stderr__=stream)
        name = "<cell>" if number == len(cells) else f"<cell {number}>"
        lines = [line + "\n" for line in cell.split("\n")]
        linecache.cache[name] = (len(cell), None, lines, name)
        letter = OK
        try:
            exec(compile(cell, name, "exec", dont_inherit=True), main.__dict__)
        except SystemExit as error:
            letter = _leave(error, stream)
        except BaseException as error:
            letter = MEMORY if isinstance(error, MemoryError) else ERROR
            ballast.close()
            _show(error, stream, folders)
        with contextlib.suppress(BaseException):  # the code may have done anything to it
            stream.flush()
        _mark(nonce + letter)


def _leave(error: SystemExit, stream: io.TextIOWrapper) -> bytes:
    """`exit()` ends a cell well, and with a message or a number badly, as it does a program."""
    if error.code is None or error.code == 0:
        return OK
    if not isinstance(error.code, int):
        with contextlib.suppress(BaseException):
            print(error.code, file=stream)
    return ERROR


def _show(error: BaseException, stream: io.TextIOWrapper, folders: Sequence[str]) -> None:
    """The traceback as Python prints it, less what lies outside the cells: nobody here wrote it."""
    with contextlib.suppress(BaseException):  # an exception's own `__str__` may raise or worse
        shown = traceback.TracebackException.from_exception(error)
        _keep_cells(shown)
        text = "".join(shown.format())
        for folder in sorted(folders, key=len, reverse=True):
            text = text.replace(f"{folder}/", "")
        stream.write(text)


def _keep_cells(shown: traceback.TracebackException) -> None:
    frames = [frame for frame in shown.stack if frame.filename.startswith("<cell")]
    # A syntax error has no frames, and then Python shows no heading either.
    shown.stack = traceback.StackSummary.from_list(frames) if frames else None  # type: ignore[assignment]
    inner = [shown.__cause__, shown.__context__, *(getattr(shown, "exceptions", None) or ())]
    for other in inner:
        if other is not None:
            _keep_cells(other)


def _mark(mark: bytes) -> None:
    """Over stdout, or stderr where the code has closed that; over nothing if it closed both."""
    for fd in (1, 2):
        try:
            while mark:
                mark = mark[os.write(fd, mark) :]
        except OSError:
            continue
        return
