"""Signals and errors beside a job end it in order."""

import os
import signal
import threading
import time

import pytest

from factory.ending import Ending, sigterm_ends


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
