"""A worker that has work and says nothing is found, and ended while it is the same process."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from workers.process import Process, started
from workers.tally import MAX_QUIET_S, Tally, WorkerCounts


def counts(slot: str, pid: int, **fields: object) -> WorkerCounts:
    process = Process(node_id="node", pid=pid, started="1")
    return replace(WorkerCounts(slot=slot, process=process, num_batches=3), **fields)  # type: ignore[arg-type]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def test_only_the_last_worker_of_a_place_with_work_is_silent() -> None:
    tally = Tally()
    tally.report("replaced", counts("a", 1))
    tally.report("silent", counts("a", 2))
    tally.report("idle", counts("b", 3, num_batches=0))
    tally.report("outside", counts("c", 4, process=None))
    assert [process.pid for process in tally.silent(0.0)] == [2]
    assert tally.silent(60.0) == []


def test_a_worker_that_is_there_and_reports_nothing_is_silent_all_the_same() -> None:
    tally = Tally()
    tally.report("stuck", counts("a", 1))
    tally.heard_s["stuck"] -= 100
    tally.alive_s["stuck"] -= 100
    assert tally.by_worker()["stuck"].silent_s >= 100
    tally.alive("stuck")
    assert tally.by_worker()["stuck"].silent_s < 100
    assert [process.pid for process in tally.silent(100.0)] == [1]


def test_well_is_who_was_heard_last_in_its_place_and_has_its_engine() -> None:
    tally = Tally()
    slots = {"replaced": "a", "later": "a", "gone": "b", "broken": "c", "last": "lost"}
    for name, slot in slots.items():
        tally.report(name, counts(slot, 1))
    tally.report("broken", replace(tally.workers["broken"], death="CUDA error"))
    tally.alive_s["gone"] -= MAX_QUIET_S + 1
    assert tally.well("lost") == ["later"]
    assert Tally().well("lost") == []


def test_a_process_is_ended_by_its_name(sleeper: subprocess.Popen[bytes]) -> None:
    name = Process(node_id="node", pid=sleeper.pid, started=started(sleeper.pid) or "")
    assert not replace(name, started="1").end()
    assert sleeper.poll() is None
    assert name.end()
    assert sleeper.wait() < 0
    assert not name.end()
