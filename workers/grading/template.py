"""The process that grading workers are forked from: math-verify imported once, nothing graded.

It is a program of its own, single-threaded, so that forking is safe whatever the host has running.
The host asks it for workers over a socket and hands it one end of each worker's own socket. It is
the only one that signals workers by number, as it is the one that reaps them. It leaves when the
host is gone, and every worker dies with it.
"""

import ctypes
import json
import logging
import os
import resource
import select
import signal
import socket
import struct
import warnings
from functools import lru_cache
from typing import Any

from workers.grading import shortcuts

REQUEST = struct.Struct("!q")
"""Host to template: the worker to kill first (0: none), with the new worker's socket attached.
Template to host: the new worker's number, or minus the errno of a failed fork."""
READY = b"ready"
LENGTH = struct.Struct("!I")
"""Host to worker: the length of a JSON list [gold, answers]. Worker to host: a letter an answer."""
LETTERS = {"c": "correct", "w": "wrong", "m": "memory", "e": "error"}
"""One letter per verdict; a capital one is the worker's last, it leaves after it."""
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",  # sympy's orderings, and so rare verdicts, would differ by run
}

_PR_SET_PDEATHSIG = 1
_HOST_CHECK_S = 1.0
_WARM_UP = (
    ("\\frac{\\sqrt{3}}{2}", "0.5"),
    ("3+2\\sqrt{5}", "\\frac{1-\\sqrt{5}}{2}"),
    ("\\frac{2\\pi}{3}", "2\\sqrt[3]{4}"),
    ("2x^2-3x+1", "(2x-1)(x-1)"),
    ("f(x)=2x", "\\frac{x+1}{y}"),
    ("[-1,2)", "(-1,2]"),
    ("(-\\infty,1]\\cup[2,\\infty)", "(2, -3)"),
    ("1,-2,3", "\\{1,2,3\\}"),
    ("\\begin{pmatrix}1&-2\\\\3&4\\end{pmatrix}", "\\begin{pmatrix}1\\\\-2\\end{pmatrix}"),
    ("5\\text{ cm}", "\\$5.25"),
    ("90^\\circ", "12\\%"),
    ("\\text{east}", "No solution"),
    ("2^{n+1}", "x=5"),
)
"""Grammar tables fill as they are used: a worker forked from an empty template is five times slower
on its first pairs."""


def main(control_fd: int, host: int, memory_limit: int, float_rounding: int) -> None:
    """Forks workers on request until the host closes its end, dies, or is replaced as parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=control_fd)
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        _load(float_rounding)
    except Exception as error:  # the host must hear of it, whatever it is
        control.sendall(f"{type(error).__name__}: {error}".encode())
        return
    control.sendall(READY)
    template = os.getpid()
    while os.getppid() == host:
        if not select.select([control], [], [], _HOST_CHECK_S)[0]:
            continue
        message, fds, _, _ = socket.recv_fds(control, REQUEST.size, 1)
        if not message:
            return
        _end(REQUEST.unpack(message)[0])
        try:
            worker = os.fork()
        except OSError as error:
            worker = -(error.errno or 1)
        if worker == 0:
            control.close()
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == template:
                _work(socket.socket(fileno=fds[0]), memory_limit, float_rounding)
            os._exit(0)
        os.close(fds[0])
        control.sendall(REQUEST.pack(worker))


def _load(float_rounding: int) -> None:
    """Imports math-verify and has it read a little of everything, so that forks inherit it."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    shortcuts.install()
    for gold, answer in _WARM_UP:
        _is_right(gold, answer, float_rounding)
    _parse_gold.cache_clear()


def _end(worker: int) -> None:
    if worker:
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)


def _work(jobs: socket.socket, memory_limit: int, float_rounding: int) -> None:
    """Grades what arrives until the host closes the socket or too much memory has been used."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    start = _peak_memory()
    room = memory_limit - start
    while header := jobs.recv(LENGTH.size, socket.MSG_WAITALL):
        body = jobs.recv(LENGTH.unpack(header)[0], socket.MSG_WAITALL)
        gold, answers = json.loads(body)
        for answer in answers:
            before = _peak_memory()
            letter = _letter(gold, answer, float_rounding)
            peak = _peak_memory()
            # math-verify swallows MemoryError and then calls the answer wrong. A "no" that took a
            # quarter of the room there was is not to be trusted.
            if letter == "w" and peak - before > room // 4:
                letter = "m"
            is_last = letter == "m" or peak - start > room // 8
            jobs.sendall((letter.upper() if is_last else letter).encode())
            if is_last:
                return


def _letter(gold: str, answer: str, float_rounding: int) -> str:
    try:
        return "c" if _is_right(gold, answer, float_rounding) else "w"
    except MemoryError:
        return "m"
    except Exception:  # a library chokes on model output in any way it likes
        return "e"


def _is_right(gold: str, answer: str, float_rounding: int) -> bool:
    from math_verify import parse, verify

    parsed = parse(f"\\boxed{{{answer}}}", parsing_timeout=None)
    gold_parsed = _parse_gold(gold)
    return bool(verify(gold_parsed, parsed, float_rounding=float_rounding, timeout_seconds=None))


@lru_cache(maxsize=64)
def _parse_gold(gold: str) -> Any:
    from math_verify import parse

    return parse(with_dollars(gold), parsing_timeout=None)


def with_dollars(gold: str) -> str:
    """The reference answer as math-verify wants to meet it: `$gold$`, unless it is marked up."""
    num_dollars = gold.replace("\\$", "").count("$")
    is_marked = num_dollars > 0 and num_dollars % 2 == 0
    is_marked = is_marked or any(mark in gold for mark in ("\\boxed{", "\\(", "\\["))
    return gold if is_marked else f"${gold}$"


def _peak_memory() -> int:
    """Bytes of address space this process has had at most."""
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"VmPeak:"):
                return int(line.split()[1]) * 1024
    return 0
