"""Workers that hang are ended whatever became of others, and nobody waits for that at the end."""

import threading
from typing import Any

import pytest

from factory.silent_workers import end_all, silent_workers_end
from workers.process import Process

pytestmark = pytest.mark.ray


def worker(pid: int) -> Process:
    return Process(node_id="node", pid=pid, started="1")


def test_a_worker_on_a_lost_node_keeps_no_other_alive() -> None:
    from ray.exceptions import RayError

    ended: list[int] = []

    def end(process: Process) -> None:
        if process.pid == 1:
            raise RayError("the node is lost")
        ended.append(process.pid)

    end_all([worker(1), worker(2), worker(3)], end, threading.Event())
    assert ended == [2, 3]


def test_no_worker_is_ended_after_the_stage() -> None:
    stop, ended = threading.Event(), []

    def end(process: Process) -> None:
        ended.append(process.pid)
        stop.set()

    end_all([worker(1), worker(2)], end, stop)
    assert ended == [1]


class Hanging:
    """A tally whose node does not answer."""

    def __init__(self) -> None:
        self.silent: Any = self
        self.was_asked, self.may_answer = threading.Event(), threading.Event()

    def remote(self, timeout_s: float) -> Any:
        from ray.exceptions import RayError

        self.was_asked.set()
        self.may_answer.wait(60)
        raise RayError("no answer")


def test_a_tally_that_does_not_answer_is_not_waited_for() -> None:
    tally = Hanging()
    with silent_workers_end(tally, 0.01, patience_s=0.01):
        tally.was_asked.wait(60)
        [look] = [t for t in threading.enumerate() if t.name == "silent-workers"]
    assert look.is_alive()
    tally.may_answer.set()
    look.join()
