"""Attacks on the verdict: forging an ending, and reaching into the next execution."""

from workers.sandbox.cells import CellStatus
from workers.sandbox.probes.probe import Probe

_KILLED = frozenset({CellStatus.KILLED})

_SPRAY = r"""
for frame in (b"o\0\0\0\x06forged", b"R\0\0\0\x02{}", b"locked", b"B\xff\xff\xff\xff", b"\0o"):
    for fd in range(256):
        try:
            os.write(fd, frame)
        except OSError:
            continue
        if fd > 2:
            print("BREACH wrote to", fd)
os._exit(0)
"""
_FORGE_MARK = """
import gc
frame = sys._getframe()
while frame:
    nonce = frame.f_locals.get("nonce")
    if isinstance(nonce, bytes):
        os.write(1, b"forged" + nonce + b"o" + b"more" + nonce + b"z")
    frame = frame.f_back
while True:
    pass
"""
_UNKNOWN_MARK = _FORGE_MARK.replace('nonce + b"o"', 'nonce + b"R"')
_CLOSE_ALL = """
for fd in range(256):
    try:
        os.close(fd)
    except OSError:
        pass
while True:
    pass
"""
_PATCH = """
import builtins, random, sympy, numpy
builtins.print = builtins.len = lambda *a, **k: 1
sympy.sqrt = sympy.Integer.__add__ = lambda *a: 13
sympy.pi.probe = os.environ["PROBE"] = "left"
sys.modules["probe_left"] = sys
sys.setrecursionlimit(60)
numpy.seterr(all="raise")
random.seed(99)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
os.write = os._exit = None
"""
_LOOK = """
import builtins, sympy, numpy
left = [
    builtins.len([]) != 0, hasattr(sympy.pi, "probe"), "PROBE" in os.environ,
    "probe_left" in sys.modules, sys.getrecursionlimit() < 100, sympy.Integer(1) + 1 != 2,
    numpy.geterr()["divide"] == "raise", signal.getsignal(signal.SIGALRM) == signal.SIG_IGN,
]
if any(left):
    sys.stdout.write(f"BREACH {left}")
"""
_POISON_CACHES = """
import sympy
sympy.S.Half.p = 7
"""
_LOOK_AT_HALF = "import sympy\nif str(sympy.Rational(1, 2)) != '1/2':\n    print('BREACH')"


def _probe(
    name: str, code: str, may_end: frozenset[CellStatus] | None = None, then: str = ""
) -> Probe:
    return Probe(name=name, code=code, then=then, may_end=may_end)


PROBES: tuple[Probe, ...] = (
    _probe("exit well", "print('x')\nos._exit(0)", _KILLED),
    _probe("exit as if setup had failed", "os._exit(97)", _KILLED),
    _probe("exit badly", "os._exit(1)", _KILLED),
    _probe("exit by raw call", "libc._exit(0)", _KILLED),
    _probe("forge the protocol on every descriptor", _SPRAY, _KILLED),
    _probe("forge a mark", _FORGE_MARK, frozenset({CellStatus.OK})),
    _probe("forge an unknown mark", _UNKNOWN_MARK, _KILLED),
    _probe("close every descriptor", _CLOSE_ALL, frozenset({CellStatus.TIMEOUT})),
    _probe("end by a signal", "signal.alarm(1)\nwhile True:\n    pass", None),
    _probe("stop oneself", "denied(lambda: signal.raise_signal(signal.SIGSTOP))"),
    _probe("run at exit", "import atexit\natexit.register(print, 'BREACH')"),
    _probe(
        "run when collected",
        "class Late:\n    def __del__(self):\n        print('BREACH')\nlate = Late()",
    ),
    _probe("a raised SystemExit", "raise SystemExit('no')", frozenset({CellStatus.ERROR})),
    _probe("a raised interrupt", "raise KeyboardInterrupt", frozenset({CellStatus.ERROR})),
    _probe("leave patched modules", _PATCH, then=_LOOK),
    _probe("leave poisoned singletons", _POISON_CACHES, then=_LOOK_AT_HALF),
    _probe("leave a name", "left = 1", then="if 'left' in globals():\n    print('BREACH')"),
)
