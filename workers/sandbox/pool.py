"""Runs untrusted cells, many callers at once, over a few zygotes that may die at any moment.

Each zygote has a thread here that starts it, asks it, and starts the next one. The kernel ends a
zygote with the thread that started it, so that nothing outlives the owner.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import ClassVar

from workers.sandbox.cells import CellResult, CellStatus, Limits
from workers.sandbox.launch import (
    BUBBLEWRAP,
    LANDLOCK,
    UNSAFE,
    Launch,
    SandboxUnavailable,
    make_launch,
)
from workers.sandbox.zygote_process import Lost, ZygoteProcess

_MAX_TRIES = 2
_ADVICE = (
    "Install bubblewrap (Debian: apt-get install bubblewrap) where user namespaces are allowed, "
    "or use a kernel with Landlock (5.13 or later) that the container's seccomp profile lets "
    "through. unsafe=True runs the code with this process's own rights."
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Job:
    cells: Sequence[str]
    future: Future[CellResult]


class Sandbox:
    """Runs cells in forks that see nothing of this machine. `close` it when done."""

    isolations: ClassVar[Sequence[str]] = (BUBBLEWRAP, LANDLOCK)
    """Tried in this order."""

    def __init__(
        self, *, num_workers: int = 1, limits: Limits = Limits(), unsafe: bool = False
    ) -> None:
        """Starts the zygotes and waits for the first. Needs no event loop.

        Raises SandboxUnavailable, with what was tried, where no isolation can be set up.
        """
        if num_workers < 1:
            raise ValueError(f"num_workers is {num_workers}, it must be above 0")
        self._limits = limits
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_closed = False
        self._launch: Future[Launch] = Future()
        self._zygotes = [ZygoteProcess(limits) for _ in range(num_workers)]
        if unsafe:
            _log.warning("Untrusted code runs without isolation: with this process's own rights")
        candidates = [UNSAFE] if unsafe else self.isolations
        self._keepers = [
            threading.Thread(
                target=self._keep, args=(each, candidates), name=f"sandbox-{i}", daemon=True
            )
            for i, each in enumerate(self._zygotes)
        ]
        self._keepers[0].start()
        self._isolation = self._launch.result().isolation
        for keeper in self._keepers[1:]:
            keeper.start()

    async def run(self, cells: Sequence[str]) -> CellResult:
        """Runs the last cell in the namespace that the ones before it leave; its output.

        An earlier cell's output is discarded, and its exception too: what it had done by then
        stays. Raises SandboxUnavailable when no zygote can be started any more or after `close`;
        nothing that the code does raises.
        """
        if not cells:
            raise ValueError("no cell to run")
        longest = self._limits.code_bytes
        size = len(cells[-1].encode(errors="replace"))
        if size > longest:
            text = f"The code has {size:,} bytes, more than the {longest:,} allowed; it was not run"
            return CellResult(output=text + ".\n", status=CellStatus.ERROR)
        # An earlier cell as long as that was not run in its own time either.
        short = [cell for cell in cells if len(cell.encode(errors="replace")) <= longest]
        future: Future[CellResult] = Future()
        with self._lock:
            if self._is_closed:
                raise SandboxUnavailable("the sandbox was closed; make a new one")
            self._jobs.put(_Job(short, future))
        return await asyncio.wrap_future(future)

    @property
    def isolation(self) -> str:
        """What keeps the code in: "bubblewrap", "landlock", or nothing: "unsafe"."""
        return self._isolation

    def close(self) -> None:
        """Kills every process at once. Cells under way and waiting end in SandboxUnavailable."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            for _ in self._keepers:
                self._jobs.put(None)
        for each in self._zygotes:
            each.close()
        for keeper in self._keepers:
            if keeper.ident is not None:
                keeper.join(timeout=10.0)

    def _keep(self, worker: ZygoteProcess, candidates: Sequence[str]) -> None:
        """One thread's life: start a zygote, serve from the queue, and so on."""
        if not self._launch.done():
            try:
                self._launch.set_result(self._choose(worker, candidates))
            except Exception as error:  # the constructor waits for it, whatever it is
                self._launch.set_exception(error)
                return
        while (job := self._jobs.get()) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue
            try:
                job.future.set_result(self._serve(worker, job.cells))
            except Exception as error:  # a silent keeper would hang its callers
                job.future.set_exception(error)
        worker.close()

    def _choose(self, worker: ZygoteProcess, candidates: Sequence[str]) -> Launch:
        tried = []
        for isolation in candidates:
            try:
                launch = make_launch(isolation, self._limits)
                worker.start(launch)
            except (SandboxUnavailable, Lost, OSError) as error:
                worker.stop()
                tried.append(f"{isolation}: {error}")
                continue
            return launch
        raise SandboxUnavailable("; ".join(["No sandbox can be set up", *tried, _ADVICE]))

    def _serve(self, worker: ZygoteProcess, cells: Sequence[str]) -> CellResult:
        for _ in range(_MAX_TRIES):
            if self._is_closed:
                break
            self._ensure(worker)
            try:
                return worker.ask(cells)
            except Lost as error:
                _log.warning("A sandbox process was lost: %s", error)
                worker.stop()
        if self._is_closed:
            raise SandboxUnavailable("the sandbox was closed while the code ran")
        return CellResult(output="", status=CellStatus.KILLED)

    def _ensure(self, worker: ZygoteProcess) -> None:
        if worker.is_running():
            return
        for attempt in range(1, _MAX_TRIES + 1):
            worker.stop()
            try:
                worker.start(self._launch.result())
            except (Lost, OSError) as error:
                if attempt == _MAX_TRIES:
                    message = f"a sandbox that worked cannot be started again: {error}"
                    raise SandboxUnavailable(message) from None
            else:
                return
