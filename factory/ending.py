"""How a job ends before it is done: by a signal, or by an error in a thread beside it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


@contextmanager
def sigterm_ends() -> Iterator[None]:
    """Inside, SIGTERM unwinds the main thread as Ctrl-C does and leaves with exit code 143.

    Without effect in other threads, where Python allows no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: Any) -> None:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C. Of KeyboardInterrupt itself Python keeps in mind that it passed through an `exec`, of
    which imports are full, and ends the process by the signal though it was answered."""


@contextmanager
def sigint_ends() -> Iterator[None]:
    """Inside, Ctrl-C raises Interrupted, where it would have raised KeyboardInterrupt."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise Interrupted

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Ending:
    """`with ending.watched():` around the job; a thread beside it ends it by `fail(error)`.

    The error is raised in place of the interruption, a SIGUSR1: a background job of a shell ignores
    SIGINT, and where Ray starts a driver it is blocked. Only a main thread can be interrupted; in
    another one it is raised when the block ends by itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._main: int | None = None

    def fail(self, error: BaseException) -> None:
        """Ends the job with this error; the first one counts."""
        with self._lock:
            if self._error is not None:
                return
            self._error = error
            if self._main is not None:
                signal.pthread_kill(self._main, signal.SIGUSR1)

    def cause_of(self, end: BaseException | None) -> BaseException | None:
        """What the job ended by: a thread's error, where this is the interruption by it or none."""
        is_ours = end is None or isinstance(end, KeyboardInterrupt)
        return self._error if is_ours and self._error is not None else end

    @contextmanager
    def watched(self) -> Iterator[None]:
        try:
            with self._interruptible():
                yield
        except KeyboardInterrupt as stop:
            if self.cause_of(stop) is stop:
                raise
        if self._error is not None:
            raise self._error

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Of the exceptions of a handler, Ray lets only KeyboardInterrupt and SystemExit out."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def interrupt(number: int, frame: Any) -> None:
            if self._main is not None:
                raise Interrupted

        before = signal.signal(signal.SIGUSR1, interrupt)
        blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        self._main = threading.get_ident()
        try:
            try:
                yield
            finally:
                with self._lock:
                    self._main = None
        finally:
            self._main = None  # where the interruption came just before
            signal.pthread_sigmask(signal.SIG_BLOCK, blocked & {signal.SIGUSR1})
            signal.signal(signal.SIGUSR1, before)
