"""Bombs, killed workers and killed hosts: each costs what it must and no more."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from schemas.records import Verdict
from tests.workers.processes import parents
from workers.grading import Grader, GraderSettings

BOMB = "9^{9^{9^{9}}}-1"
DEADLINE_S = 1.0


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    made = Grader(GraderSettings(deadline_s=DEADLINE_S))
    made.grade_now("x", ["y", "z"])
    yield made
    made.close()


def _children(parent: int) -> list[int]:
    return [pid for pid, its_parent in parents().items() if its_parent == parent]


def _workers(grader: Grader) -> list[int]:
    process = grader._pool._template._process
    assert process is not None
    return _children(process.pid)


def _wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    "bomb",
    [
        BOMB,
        "2^{2^{36}}",
        "((5!)!)!",
        "100000000!",
        "\\sum_{k=1}^{100000000} \\frac{1}{k^2}",
        "\\frac{1}{1+" * 150 + "2" + "}" * 150,
        "(" * 900 + "1" + ")" * 900,
        "(x+1)^{100000}",
    ],
)
def test_a_bomb_ends_at_the_deadline(grader: Grader, bomb: str) -> None:
    (verdict,) = grader.grade_now("x^2+5", [bomb])
    assert verdict in (Verdict.TIMEOUT, Verdict.MEMORY, Verdict.WRONG, Verdict.ERROR)
    assert grader.grade_now("x^2+5", [f"5+x^2+{len(bomb)}"]) == [Verdict.WRONG]


def test_a_bomb_costs_only_its_own_answer(grader: Grader) -> None:
    answers = ["7+x", BOMB, "x", "x+7.0", "y"]
    assert grader.grade_now("x+7", answers) == [
        Verdict.CORRECT,
        Verdict.TIMEOUT,
        Verdict.WRONG,
        Verdict.CORRECT,
        Verdict.WRONG,
    ]


def test_a_timeout_is_remembered(grader: Grader) -> None:
    grader.grade_now("x+8", [BOMB])
    before = grader.stats
    assert grader.grade_now("x+8", [BOMB]) == [Verdict.TIMEOUT]
    assert grader.stats == replace(before, num_cached=before.num_cached + 1)


@pytest.fixture
def brief() -> Iterator[Grader]:
    """A grader of one worker that exists already."""
    made = Grader(GraderSettings(deadline_s=0.2, num_processes=1))
    made.grade_now("x", ["y"])
    yield made
    made.close()


def test_time_in_which_a_worker_stands_still_is_not_counted(brief: Grader) -> None:
    """A container over its share of the processors, a machine that is moved: no answer is lost."""
    [worker] = _workers(brief)
    os.kill(worker, signal.SIGSTOP)
    threading.Timer(0.8, os.kill, (worker, signal.SIGCONT)).start()
    assert brief.grade_now("x+7", ["7+x", "x"]) == [Verdict.CORRECT, Verdict.WRONG]
    assert brief.stats.num_timeouts == brief.stats.num_deaths == 0


def test_a_worker_that_gets_nothing_done_is_replaced_and_its_pair_graded(brief: Grader) -> None:
    [worker] = _workers(brief)
    os.kill(worker, signal.SIGSTOP)
    assert brief.grade_now("x+7", ["7+x"]) == [Verdict.CORRECT]
    assert (brief.stats.num_timeouts, brief.stats.num_deaths) == (0, 1)


def test_too_little_memory_is_not_a_wrong_answer() -> None:
    small = Grader(GraderSettings(memory_bytes=128 << 20, deadline_s=20, num_processes=1))
    verdicts = small.grade_now("5", ["2^{2^{33}}", "x"])
    small.close()
    assert verdicts == [Verdict.MEMORY, Verdict.WRONG]


def test_a_pair_whose_worker_was_killed_is_graded_by_the_next() -> None:
    grader = Grader(GraderSettings(deadline_s=DEADLINE_S, num_processes=1))
    grader.grade_now("x", ["y"])
    (first,) = _workers(grader)
    found: list[Verdict] = []
    thread = threading.Thread(target=lambda: found.extend(grader.grade_now("5", [BOMB, "x"])))
    thread.start()
    time.sleep(0.3)
    os.kill(first, signal.SIGKILL)
    thread.join()
    deaths = grader.stats.num_deaths
    second = _workers(grader)
    grader.close()
    assert found == [Verdict.TIMEOUT, Verdict.WRONG]
    assert deaths == 1
    assert first not in second


def test_killing_idle_workers_and_their_template_costs_no_answer(grader: Grader) -> None:
    for victim in _workers(grader):
        os.kill(victim, signal.SIGKILL)
    assert grader.grade_now("x+2", ["2+x", "x"]) == [Verdict.CORRECT, Verdict.WRONG]
    process = grader._pool._template._process
    assert process is not None
    process.kill()
    assert grader.grade_now("x+3", ["3+x", "x"]) == [Verdict.CORRECT, Verdict.WRONG]


def test_a_replacement_is_forked_and_not_imported_again(grader: Grader) -> None:
    grader.grade_now("x", ["2y", "3y"])
    template = grader._pool._template._process
    for victim in _workers(grader):
        os.kill(victim, signal.SIGKILL)
    assert grader.grade_now("x", ["4y"]) == [Verdict.WRONG]
    assert grader._pool._template._process is template


def test_closing_ends_every_process_even_in_the_middle_of_a_check() -> None:
    grader = Grader(GraderSettings(deadline_s=30, num_processes=1))
    grader.grade_now("x", ["y"])
    process = grader._pool._template._process
    assert process is not None
    family = {process.pid, *_workers(grader)}
    errors: list[Exception] = []

    def ask() -> None:
        try:
            grader.grade_now("5", [BOMB])
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.2)
    start = time.monotonic()
    grader.close()
    thread.join()
    assert time.monotonic() - start < 2
    assert "closed" in str(errors[0])
    assert _wait_for(lambda: not family & parents().keys())


def test_a_killed_host_leaves_no_orphan() -> None:
    code = (
        "import threading, time; from workers.grading import Grader, GraderSettings\n"
        "g = Grader(GraderSettings(deadline_s=60)); g.grade_now('x', ['y', 'z'])\n"
        f"threading.Thread(target=g.grade_now, args=('5', [{BOMB!r}])).start()\n"
        "time.sleep(0.2); print(g._pool._template._process.pid, flush=True); time.sleep(60)"
    )
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    template = int(host.stdout.readline())
    family = {template, *_children(template)}
    assert len(family) == 3
    host.kill()
    host.wait()
    host.stdout.close()
    assert _wait_for(lambda: not family & parents().keys())
