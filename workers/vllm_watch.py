"""Notices an engine that has work and makes no token."""

import threading
import time
from collections.abc import Callable

CHECKS_PER_TIMEOUT = 10


def watch_for_hang(
    progress: Callable[[], int | None],
    *,
    timeout_s: float,
    stop: threading.Event,
    on_hang: Callable[[str], None],
) -> threading.Thread:
    """Call `on_hang` once if `progress` stays the same for `timeout_s`, at most a fifth later.

    `progress` returns the tokens made so far, or None when there is nothing to do. Runs in a
    daemon thread until `stop` is set: a stuck engine may hold every other thread we have.
    """

    def run() -> None:
        last: int | None = None
        since = time.monotonic()
        while not stop.wait(timeout_s / CHECKS_PER_TIMEOUT):
            tokens, now = progress(), time.monotonic()
            if tokens is None or tokens != last:
                last, since = tokens, now
            elif now - since >= timeout_s:
                on_hang(f"the engine made no token for {now - since:.0f} s with work in flight")
                return

    thread = threading.Thread(target=run, name="engine-watch", daemon=True)
    thread.start()
    return thread
