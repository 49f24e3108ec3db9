"""Attacks on the machine's time, memory and patience."""

from workers.sandbox.cells import CellStatus
from workers.sandbox.probes.probe import Probe

_OVER = frozenset({CellStatus.TIMEOUT})
_FULL = frozenset({CellStatus.MEMORY, CellStatus.KILLED, CellStatus.ERROR})
_FLOOD = frozenset({CellStatus.FLOOD})
_NOT_OK = frozenset(CellStatus) - {CellStatus.OK}

_DEAF = """
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
"""
_STUBBORN = """
class Stubborn(Exception):
    def __str__(self):
        while True:
            pass
raise Stubborn
"""
_LOUD_LINE = """
class Loud(Exception):
    def __str__(self):
        return "x" * (1 << 24)
raise Loud
"""
_DESCRIPTORS = """
held = []
try:
    while len(held) < 1000:
        held.append(os.dup(1))
except OSError:
    pass
if len(held) > 64:
    print("BREACH", len(held))
"""
_CLOSED = "os.close(1)\nos.close(2)\n"


def _probe(name: str, code: str, may_end: frozenset[CellStatus] | None) -> Probe:
    return Probe(name=name, code=code, may_end=may_end)


PROBES: tuple[Probe, ...] = (
    _probe("endless loop", "while True:\n    pass", _OVER),
    _probe("endless loop deaf to signals", _DEAF, _OVER),
    _probe("endless loop in C", "import itertools\nsum(itertools.repeat(0))", _OVER),
    _probe("endless number", "9 ** 9 ** 9", _NOT_OK),
    _probe("endless match", 'import re\nre.match("(a+)+b", "a" * 99)', _OVER),
    _probe("endless sleep", "import time\ntime.sleep(1e6)", _OVER),
    _probe("endless message", _STUBBORN, _OVER),
    _probe("endless loop without stdout", _CLOSED + "while True:\n    pass", _OVER),
    _probe("end without stdout", _CLOSED, _NOT_OK),
    _probe("memory by a list", "held = [0]\nwhile True:\n    held += held", _FULL | _OVER),
    _probe("memory by numpy", "import numpy\nheld = numpy.ones(1 << 30)", _FULL),
    _probe("memory by mmap", "import mmap\nheld = mmap.mmap(-1, 1 << 33)", _FULL),
    _probe("memory by text", "held = 'x' * (1 << 34)", _FULL),
    _probe("descriptor bomb", _DESCRIPTORS, None),
    _probe("flood of lines", "while True:\n    print('x' * 99)", _FLOOD),
    _probe("flood to stderr", "while True:\n    os.write(2, b'x' * 999)", _FLOOD),
    _probe("flood in one line", "print('x' * (1 << 26))", _FLOOD),
    _probe("flood by a message", _LOUD_LINE, _FLOOD),
    _probe("null pointer", "ctypes.string_at(0)", frozenset({CellStatus.KILLED})),
    _probe("abort", "libc.abort()", frozenset({CellStatus.KILLED})),
    _probe(
        "bottomless recursion",
        "sys.setrecursionlimit(1 << 30)\ndef f():\n    f()\nf()",
        _NOT_OK,
    ),
    _probe("nested source", "eval('(' * 5000 + ')' * 5000)", _NOT_OK),
    _probe("big stack", "import resource\nresource.setrlimit(3, (1 << 40, 1 << 40))", _NOT_OK),
)
