"""Grades pairs in processes that may be killed at any moment, each at the price of one pair.

Why not a library's pool: pebble's breaks as a whole when an idle worker is killed, and its workers
share one lock, so one killed at the wrong instant stops the others; `multiprocessing`'s forkserver
is one per host process (vLLM may have started it first) and runs the host's `__main__` again in
every child. Here each worker has its own socket and its own thread in the host, which waits for it
and nothing else.
"""

import json
import math
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from schemas.records import Verdict
from workers.grading import template

_START_S = 120.0
"""Importing sympy on a crowded machine with cold disks; a fork takes hundredths of a second."""
_FORK_S = 20.0
_MAX_CHUNK = 8
_MAX_DEATHS = 2
"""A pair whose worker was killed by somebody else is tried this often in all."""
_PATIENCE = 20.0
"""Times the limit of processor time: by the clock, a worker that does nothing is lost then. Checks
compute and never wait, so that one is stopped, or starved."""
_LEAST_WAIT_S = 0.01
_BOOT = (
    "import sys; sys.path[:] = {path!r}; "
    "from workers.grading import template; template.main({args})"
)


class GradingBroken(RuntimeError):
    """Worker processes cannot be started, or the pool was closed: nothing was decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one check may cost."""

    deadline_s: float
    """Of processor time, so that no verdict hangs on what else the machine does."""
    memory_bytes: int
    float_rounding: int


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A few answers to one reference answer, graded one after the other."""

    gold: str
    answers: Sequence[str]
    futures: Sequence[Future[Verdict]]


class Pool:
    """`num_processes` workers, each started when there is first something for it to do."""

    def __init__(self, num_processes: int, limits: Limits) -> None:
        self._num_processes = num_processes
        self._limits = limits
        self._chunks: queue.SimpleQueue[_Chunk | None] = queue.SimpleQueue()
        self._template = _Template(limits)
        self._keepers: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._is_closed = False
        self.num_deaths = 0
        """Workers lost to something other than the deadline."""

    def submit(self, gold: str, answers: Sequence[str]) -> list[Future[Verdict]]:
        """One future per answer. They cannot be cancelled: others may be waiting for them too."""
        with self._lock:
            if self._is_closed:
                raise GradingBroken("the grader was closed; make a new one")
            if not self._keepers:
                self._keepers = [
                    threading.Thread(target=self._keep, name=f"grading-{i}", daemon=True)
                    for i in range(self._num_processes)
                ]
                for keeper in self._keepers:
                    keeper.start()
        futures: list[Future[Verdict]] = [Future() for _ in answers]
        for future in futures:
            future.set_running_or_notify_cancel()
        size = min(_MAX_CHUNK, math.ceil(len(answers) / self._num_processes))
        for i in range(0, len(answers), max(size, 1)):
            self._chunks.put(_Chunk(gold, answers[i : i + size], futures[i : i + size]))
        return futures

    def close(self) -> None:
        """Kills every process at once. Checks under way and waiting end in `GradingBroken`."""
        with self._lock:
            self._is_closed = True
            keepers, self._keepers = self._keepers, []
        self._template.close()
        for _ in keepers:
            self._chunks.put(None)
        for keeper in keepers:
            keeper.join(timeout=5.0)

    def _keep(self) -> None:
        """One worker's life, and that of those that replace it."""
        worker = _Worker(self._template)
        while (chunk := self._chunks.get()) is not None:
            try:
                self._grade(worker, chunk)
            except Exception as error:  # a silent keeper would hang its callers
                self._fail(chunk, error)
        worker.close()

    def _grade(self, worker: "_Worker", chunk: _Chunk) -> None:
        done = deaths = 0
        while done < len(chunk.answers):
            try:
                worker.send(chunk.gold, chunk.answers[done:])
                for future in chunk.futures[done:]:
                    future.set_result(worker.receive(self._limits.deadline_s))
                    done, deaths = done + 1, 0
            except TimeoutError:
                chunk.futures[done].set_result(Verdict.TIMEOUT)
                done, deaths = done + 1, 0
                worker.replace()  # now, or it would burn a core until the next answer comes
            except (EOFError, OSError):
                if self._is_closed:
                    raise GradingBroken("the grader was closed while grading") from None
                worker.is_lost = True
                if worker.has_retired:
                    continue
                self.num_deaths += 1
                deaths += 1
                if deaths == _MAX_DEATHS:
                    chunk.futures[done].set_result(Verdict.ERROR)
                    done, deaths = done + 1, 0

    def _fail(self, chunk: _Chunk, error: Exception) -> None:
        for future in chunk.futures:
            if not future.done():
                future.set_exception(GradingBroken(f"{type(error).__name__}: {error}"))


class _Worker:
    """A forked process as its keeper sees it; once lost it is replaced by the next `send`."""

    def __init__(self, parent: "_Template") -> None:
        self._template = parent
        self._jobs: socket.socket | None = None
        self._number = 0
        self._generation = 0
        self.is_lost = False
        self.has_retired = False

    def send(self, gold: str, answers: Sequence[str]) -> None:
        if self._jobs is None or self.is_lost or self.has_retired:
            self.replace()
        assert self._jobs is not None
        body = json.dumps([gold, answers]).encode()
        self._jobs.sendall(template.LENGTH.pack(len(body)) + body)

    def receive(self, deadline_s: float) -> Verdict:
        """The next verdict; TimeoutError past the deadline, EOFError if the process is gone."""
        if self.has_retired:
            raise EOFError
        letter = self._letter(deadline_s)
        if not letter:
            raise EOFError
        self.has_retired = letter.isupper()
        return Verdict(template.LETTERS[letter.lower()])

    def _letter(self, deadline_s: float) -> str:
        """Waits are counted as they were asked for: a host that is stopped too loses no worker."""
        assert self._jobs is not None
        began_s, waited_s = self._cpu_s(), 0.0
        while waited_s < _PATIENCE * deadline_s:
            left_s = deadline_s - (self._cpu_s() - began_s)
            if left_s <= 0:
                raise TimeoutError
            wait_s = max(left_s, _LEAST_WAIT_S)
            self._jobs.settimeout(wait_s)
            with suppress(TimeoutError):
                return self._jobs.recv(1).decode()
            waited_s += wait_s
        raise EOFError

    def _cpu_s(self) -> float:
        """By the clock that every process has; 0 once it is gone, which the socket tells."""
        try:
            return time.clock_gettime((~self._number << 3) | 2)
        except OSError:
            return 0.0

    def close(self) -> None:
        if self._jobs is not None:
            self._jobs.close()
            self._jobs = None

    def replace(self) -> None:
        """Ends this process, if it still runs, and starts another."""
        self.is_lost = True
        self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            fork = self._template.fork(theirs, self._number, self._generation)
        self._jobs, (self._number, self._generation) = ours, fork
        self.is_lost = self.has_retired = False


class _Template:
    """The process workers are forked from, started with the first worker and again if it dies."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._generation = 0
        self._is_closed = False

    def fork(self, jobs: socket.socket, old: int, generation: int) -> tuple[int, int]:
        """Kills the old worker, if it was one of this template's; the new one's number."""
        with self._lock:
            for _ in range(_MAX_DEATHS):
                if self._control is None:
                    self._start()
                try:
                    number = self._ask(jobs, old if generation == self._generation else 0)
                except (EOFError, OSError):
                    self._stop()
                    continue
                if number < 0:
                    raise GradingBroken(f"no process to grade in: {os.strerror(-number)}")
                return number, self._generation
        raise GradingBroken("the process that grading workers are forked from keeps dying")

    def close(self) -> None:
        # The signal goes first, without the lock: a start or a fork under way then ends at once.
        self._is_closed = True
        if (process := self._process) is not None:
            process.kill()
        with self._lock:
            self._stop()

    def _ask(self, jobs: socket.socket, old: int) -> int:
        assert self._control is not None
        socket.send_fds(self._control, [template.REQUEST.pack(old)], [jobs.fileno()])
        reply = self._control.recv(template.REQUEST.size, socket.MSG_WAITALL)
        if len(reply) < template.REQUEST.size:
            raise EOFError
        return int(template.REQUEST.unpack(reply)[0])

    def _start(self) -> None:
        if self._is_closed:
            raise GradingBroken("the grader was closed")
        ours, theirs = socket.socketpair()
        limits = self._limits
        args = (theirs.fileno(), os.getpid(), limits.memory_bytes, limits.float_rounding)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOT.format(path=sys.path, args=", ".join(map(str, args)))],
                env=os.environ | template.ENVIRONMENT,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C at the host's terminal is the host's to answer
            )
        self._control, self._generation = ours, self._generation + 1
        ours.settimeout(_START_S)
        try:
            greeting = ours.recv(4096)
        except TimeoutError:
            greeting = f"silent for {_START_S:.0f} s".encode()
        if greeting != template.READY:
            self._stop()
            why = greeting.decode(errors="replace") or "it died"
            raise GradingBroken(f"the grading process did not start: {why}")
        ours.settimeout(_FORK_S)

    def _stop(self) -> None:
        """Workers need no signal of their own: the kernel ends them with their parent."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
