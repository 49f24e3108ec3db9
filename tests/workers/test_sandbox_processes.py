"""Zygotes and owners that die: a cell is tried again, and nobody is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workers.processes import parents
from workers.sandbox import CellResult, CellStatus, Limits, Sandbox, SandboxUnavailable
from workers.sandbox.launch import BUBBLEWRAP, LANDLOCK

LIMITS = Limits(wall_s=4.0, cpu_s=4)
FIVE = CellResult(output="5\n", status=CellStatus.OK)


class _Bubblewrap(Sandbox):
    isolations = (BUBBLEWRAP,)


class _Landlock(Sandbox):
    isolations = (LANDLOCK,)


@pytest.fixture(params=[_Bubblewrap, _Landlock], ids=[BUBBLEWRAP, LANDLOCK])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    try:
        made = request.param(limits=LIMITS)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    yield made
    made.close()


def _descendants(root: int) -> list[int]:
    known = parents()
    found = [root]
    for pid in found:
        found += [child for child, parent in known.items() if parent == pid]
    return found[1:]


def _root(sandbox: Sandbox) -> int:
    process = sandbox._zygotes[0]._process
    assert process is not None
    return process.pid


def _wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def _family(sandbox: Sandbox) -> list[int]:
    root = _root(sandbox)
    return [root, *_descendants(root)]


def test_any_process_of_an_idle_zygote_may_be_killed(sandbox: Sandbox) -> None:
    assert asyncio.run(sandbox.run(["print(5)"])) == FIVE
    for i in range(len(_family(sandbox))):
        os.kill(_family(sandbox)[i], signal.SIGKILL)
        assert asyncio.run(sandbox.run(["print(5)"])) == FIVE


def test_a_cell_whose_zygote_is_killed_is_tried_once_more(sandbox: Sandbox) -> None:
    async def kill_midway(times: int) -> CellResult:
        cell = asyncio.create_task(sandbox.run(["import time\ntime.sleep(1.5)\nprint(5)"]))
        killed: set[int] = set()
        while len(killed) < times:
            await asyncio.sleep(0.02)
            process = sandbox._zygotes[0]._process
            if process is None or process.pid in killed or not _is_working(process.pid):
                continue
            await asyncio.sleep(0.5)  # a new zygote tries its locks in a fork too, but not for long
            if _is_working(process.pid):
                os.kill(process.pid, signal.SIGKILL)
                killed.add(process.pid)
        return await cell

    assert asyncio.run(kill_midway(1)) == FIVE
    assert asyncio.run(kill_midway(2)) == CellResult(output="", status=CellStatus.KILLED)
    assert asyncio.run(sandbox.run(["print(5)"])) == FIVE


def test_close_ends_every_process_and_every_caller(sandbox: Sandbox) -> None:
    async def close_midway() -> None:
        cells = [asyncio.create_task(sandbox.run(["while True: pass"])) for _ in range(2)]
        while not _is_working(_root(sandbox)):
            await asyncio.sleep(0.02)
        family = _family(sandbox)
        await asyncio.to_thread(sandbox.close)
        for cell in cells:
            with pytest.raises(SandboxUnavailable, match="closed"):
                await cell
        assert _wait_for(lambda: not set(family) & set(parents()))

    asyncio.run(close_midway())
    with pytest.raises(SandboxUnavailable, match="closed"):
        asyncio.run(sandbox.run(["print(5)"]))


def test_time_in_which_nothing_runs_is_not_counted(sandbox: Sandbox) -> None:
    async def stand_still() -> CellResult:
        cell = asyncio.create_task(made.run(["import time\ntime.sleep(0.5)\nprint(5)"]))
        while not _is_working(_root(made)):
            await asyncio.sleep(0.01)
        family = _family(made)
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(2.0)
        for pid in family:
            os.kill(pid, signal.SIGCONT)
        return await cell

    made = type(sandbox)(limits=Limits(cpu_s=0.2, wall_s=1.5))
    try:
        assert asyncio.run(stand_still()) == FIVE
    finally:
        made.close()


_OWNER = """
import asyncio
from workers.sandbox import Limits, Sandbox
from tests.workers.test_sandbox_processes import {name}
sandbox = {name}(num_workers=2, limits=Limits(wall_s=100, cpu_s=100))
async def main():
    print("ready", flush=True)
    await asyncio.gather(*[sandbox.run(["while True: pass"]) for _ in range(2)])
asyncio.run(main())
"""


def test_nothing_outlives_an_owner_killed_with_cells_under_way(sandbox: Sandbox) -> None:
    code = _OWNER.format(name=type(sandbox).__name__)
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"ready\n"
    num_processes = 2 * (1 + len(_family(sandbox)))
    assert _wait_for(lambda: len(_descendants(owner.pid)) >= num_processes, 30.0)
    family = _descendants(owner.pid)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert _wait_for(lambda: not set(family) & set(parents()))


def test_what_was_tried_and_what_to_do_is_said_where_nothing_works() -> None:
    code = (
        "from workers.sandbox import Sandbox, launch\n"
        "launch._libraries = list\nlaunch._BOOT = 'raise SystemExit(1)'\n"
        "try:\n    Sandbox()\nexcept RuntimeError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "bubblewrap: " in done.stdout
    assert "landlock: " in done.stdout
    assert "apt-get install bubblewrap" in done.stdout


def test_without_isolation_it_runs_only_when_told_to_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sandbox = Sandbox(unsafe=True, limits=LIMITS)
    try:
        assert sandbox.isolation == "unsafe"
        assert asyncio.run(sandbox.run(["print(5)"])) == FIVE
        assert "without isolation" in caplog.text
    finally:
        sandbox.close()


def test_the_isolation_has_a_name(sandbox: Sandbox) -> None:
    assert sandbox.isolation == sandbox.isolations[0]


def _is_working(root: int) -> bool:
    """A zygote has a child only while a cell runs; bubblewrap adds two processes of its own."""
    commands = []
    for pid in (root, *_descendants(root)):
        try:
            commands.append(Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0])
        except OSError:
            continue
    return sum(not command.endswith(b"bwrap") for command in commands) >= 2
