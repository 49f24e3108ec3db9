"""What a cell may cost, and what came of it."""

from dataclasses import dataclass
from enum import StrEnum

WAIT_FACTOR = 12.0
"""Code that waits has so many times what code that computes has."""


class CellStatus(StrEnum):
    """How a cell ended."""

    OK = "ok"
    ERROR = "error"
    """The code raised; the output ends with the last line of its traceback."""
    TIMEOUT = "timeout"
    MEMORY = "memory"
    FLOOD = "flood"
    """More output than allowed; what is returned was cut at the limit."""
    KILLED = "killed"
    """It died otherwise: a forbidden call, a signal, `os._exit`, a closed stdout."""
    REPLAY = "replay"
    """An earlier cell did not finish within the limits when replayed; this one was not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """What a cell wrote to stdout and stderr, in the order it did, and how it ended."""

    output: str
    status: CellStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one cell; each cell that is replayed has them anew."""

    cpu_s: float = 5.0
    """Of processor time: what ends code that computes, however busy the machine is."""
    wall_s: float = WAIT_FACTOR * 5.0
    """By the clock: what ends code that waits. A time in which nothing ran, the clock's owner
    neither, counts little."""
    memory_bytes: int = 1 << 30
    """Address space, about 0.15 GiB of it taken by the interpreter from the start."""
    output_bytes: int = 64 << 10
    code_bytes: int = 64 << 10
    """Longer code is answered with ERROR and not run."""

    def __post_init__(self) -> None:
        for name in ("wall_s", "cpu_s", "memory_bytes", "output_bytes", "code_bytes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, it must be above 0")
