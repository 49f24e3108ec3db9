"""Signals and errors beside a job end it in order."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from factory.ending import Ending, sigterm_ends

ROOT = Path(__file__).parents[2]
FAILING = """
import signal, threading, time
from factory.ending import Ending
ending = Ending()
with ending.watched():
    threading.Timer(0.05, lambda: ending.fail(OSError("disk full"))).start()
    time.sleep(5)
    print("it went on")
"""
IN_THE_BACKGROUND = ("sh", "-c", '"$@" & wait $!', "sh")


def test_sigterm_unwinds_as_an_exit_with_143_and_the_old_handler_comes_back() -> None:
    def run() -> None:
        with sigterm_ends():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as left:
        run()
    assert left.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_error_in_a_thread_ends_the_job_with_that_error() -> None:
    def run() -> None:
        ending = Ending()
        with ending.watched():
            threading.Timer(0.1, lambda: ending.fail(OSError("disk full"))).start()
            time.sleep(20)

    started_s = time.monotonic()
    with pytest.raises(OSError, match="disk full"):
        run()
    assert time.monotonic() - started_s < 15


def test_a_persons_interruption_stays_one() -> None:
    def run() -> None:
        with Ending().watched():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        run()


@pytest.mark.parametrize(
    ("shell", "setting"),
    [
        (IN_THE_BACKGROUND, ""),
        ((), "signal.signal(signal.SIGINT, signal.SIG_IGN)"),
        ((), "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})"),
        ((), "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGUSR1})"),
    ],
    ids=["in the background", "ignored", "blocked", "all blocked"],
)
def test_an_error_in_a_thread_ends_a_job_that_takes_no_ctrl_c(
    shell: tuple[str, ...], setting: str
) -> None:
    """As shells start jobs in the background, and Ray a submitted one."""
    code = FAILING.replace("from factory", f"{setting}\nfrom factory")
    left = subprocess.run(
        [*shell, sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (left.returncode, left.stdout) == (1, "")
    assert left.stderr.endswith("OSError: disk full\n")


def test_signals_are_afterwards_what_they_were() -> None:
    def run() -> None:
        ending = Ending()
        with ending.watched():
            ending.fail(OSError("disk full"))
            time.sleep(5)

    def settings() -> list[object]:
        numbers = (signal.SIGINT, signal.SIGUSR1)
        return [signal.pthread_sigmask(signal.SIG_BLOCK, ()), *map(signal.getsignal, numbers)]

    outside = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    before = settings()
    try:
        with pytest.raises(OSError, match="disk full"):
            run()
        after = settings()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, outside)
    assert after == before
