"""Work in a thread of its own while a block runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beside(
    name: str, work: Callable[[threading.Event], object], *, patience_s: float | None = None
) -> Iterator[None]:
    """Calls `work(stop)` in a daemon thread; `stop` is set when the block is left.

    Leaving waits for the work to end, where `patience_s` is given at most so long.
    """
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(patience_s)
