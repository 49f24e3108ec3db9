"""Watches one fork from outside: keeps its clocks, counts its output, sees how it ended.

Code that computes is ended by its processor time. Waits for it are counted as they were asked for,
so that a machine that stands still for a while ends no code that waits.

What the fork writes is a stream with a mark after each cell. The mark's number was drawn for this
execution, so that no text can be taken for one by chance.
"""

import math
import os
import select
import socket
import time
from dataclasses import dataclass

from workers.sandbox import child
from workers.sandbox.cells import Limits

TIMEOUT, FLOOD, KILLED, REPLAY = b"t", b"f", b"k", b"r"
"""Letters of endings, beside the child's own."""
_LETTERS_OF_MARKS = (child.OK, child.ERROR, child.MEMORY)
_CHUNK_BYTES = 1 << 16
_CPU_SLACK_S = 0.1
_DECISIVE = 0.95
"""A process killed with this share of its memory in use is taken to have died of it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A letter, and what was written."""

    letter: bytes
    output: bytes


class Watch:
    """One fork as its zygote sees it: a stream with marks, a clock, and how it ended."""

    def __init__(
        self,
        pid: int,
        pidfd: int,
        output_fd: int,
        control: socket.socket,
        nonce: bytes,
        limits: Limits,
    ) -> None:
        self._pid, self._pidfd, self._output_fd = pid, pidfd, output_fd
        self._control, self._nonce, self._limits = control, nonce, limits
        self._stream = bytearray()
        self._num_searched = 0
        self._is_open = self._is_alive = True
        self._poll = select.poll()
        self._poll.register(output_fd, select.POLLIN)
        self._poll.register(pidfd, select.POLLIN)
        self._poll.register(control, 0)  # hanging up is always reported

    def until_the_end(self, num_cells: int) -> Ending:
        """Of the last cell. An earlier one may raise, but has to come to its mark."""
        for _ in range(num_cells - 1):
            if self._cell().letter not in _LETTERS_OF_MARKS:
                return Ending(REPLAY, b"")
        return self._cell()

    def _cell(self) -> Ending:
        wall_left_s = self._limits.wall_s
        cpu_end_s = self._cpu_s() + self._limits.cpu_s
        limit = self._limits.output_bytes
        while True:
            marked = self._up_to_mark()
            if marked is not None and len(marked.output) > limit:
                return Ending(FLOOD, marked.output[:limit])
            if marked is not None:
                return marked
            if len(self._stream) >= limit + child.MARK_BYTES:
                return Ending(FLOOD, bytes(self._stream[:limit]))
            left_s = min(wall_left_s, cpu_end_s - self._cpu_s())
            if not self._is_alive and not self._is_open:
                return Ending(self._cause_of_death(cpu_end_s), bytes(self._stream))
            if left_s <= 0:
                return Ending(TIMEOUT, bytes(self._stream[:limit]))
            wall_left_s -= self._wait(left_s)

    def _up_to_mark(self) -> Ending | None:
        """Takes a cell's output and its mark off the stream, if the mark is there."""
        at = self._stream.find(self._nonce, self._num_searched)
        self._num_searched = max(len(self._stream) - child.NONCE_BYTES + 1, 0) if at < 0 else at
        end = at + child.MARK_BYTES
        if at < 0 or len(self._stream) < end:
            return None
        letter, output = bytes(self._stream[end - 1 : end]), bytes(self._stream[:at])
        del self._stream[:end]
        self._num_searched = 0
        return Ending(letter if letter in _LETTERS_OF_MARKS else KILLED, output)

    def _wait(self, left_s: float) -> float:
        """For output, the end of the process, or the end of its time; seconds, of those left."""
        began_s = time.monotonic()
        for fd, event in self._poll.poll(math.ceil(left_s * 1000)):
            if fd == self._control.fileno() and event & (select.POLLHUP | select.POLLERR):
                os._exit(0)  # nobody is left to report to; the fork dies with this process
            if fd == self._pidfd:
                self._is_alive = False
                self._poll.unregister(fd)
            if fd == self._output_fd:
                part = os.read(fd, _CHUNK_BYTES)
                self._stream += part
                if not part:
                    self._is_open = False
                    self._poll.unregister(fd)
        return min(time.monotonic() - began_s, left_s)

    def _cause_of_death(self, cpu_end_s: float) -> bytes:
        _, status, usage = os.wait4(self._pid, 0)
        if not os.WIFSIGNALED(status):
            return KILLED
        if usage.ru_utime + usage.ru_stime >= cpu_end_s - _CPU_SLACK_S:
            return TIMEOUT
        is_full = usage.ru_maxrss * 1024 >= _DECISIVE * self._limits.memory_bytes
        return child.MEMORY if is_full else KILLED

    def _cpu_s(self) -> float:
        """Processor time of the fork until now, by the clock that every process has."""
        try:
            return time.clock_gettime((~self._pid << 3) | 2)
        except OSError:
            return 0.0
