"""The log of a job: one line of JSON for each thing that happens to it.

`event("shard sealed", path=...)` says it wherever it happens, and costs nothing where nobody
listens. `logging_to` writes to a file; lines of later runs go behind those of earlier ones.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from factory.watching.secrets import without_secrets_in
from schemas.files import is_local, make_folder, read_bytes, write_atomically

LOG_FILE = "log.jsonl"
REWRITE_INTERVAL_S = 15.0
"""Object stores cannot append: there the whole file is written again, at most so often."""

_events = logging.getLogger("factory.events")
_events.setLevel(logging.INFO)
_events.propagate = False
_events.addHandler(logging.NullHandler())


Listener = Callable[[str, Mapping[str, Any]], None]
_listeners: list[Listener] = []


def event(name: str, **fields: Any) -> None:
    """Says that something has happened; `fields` are plain numbers, texts, lists and dicts."""
    _events.info(name, extra={"fields": fields})
    for listener in tuple(_listeners):
        listener(name, fields)


def listen(listener: Listener) -> None:
    """Calls `listener` with every event, on the thread that says it."""
    _listeners.append(listener)


def unlisten(listener: Listener) -> None:
    """The opposite."""
    _listeners.remove(listener)


class JsonLine(logging.Formatter):
    """An event as one line of JSON: `time` in UTC, `event`, then its fields. Holds no secret."""

    def __init__(self, **context: Any) -> None:
        super().__init__()
        self._context = context

    def format(self, record: logging.LogRecord) -> str:
        """`extra={"fields": {...}}` of the record joins the line."""
        said_at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = getattr(record, "fields", {})
        line = {"time": said_at, "event": record.getMessage(), **self._context, **fields}
        return json.dumps(without_secrets_in(line), ensure_ascii=False)


class AppendedFile(logging.FileHandler):
    """A log on a disk."""

    def __init__(self, path: Path, may_write: Callable[[], bool] = lambda: True) -> None:
        super().__init__(path, encoding="utf-8")
        self._may_write = may_write

    def emit(self, record: logging.LogRecord) -> None:
        """What the file is not this run's any more is not for it to say."""
        if self._may_write():
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk ends the job where it matters, and not with a traceback for each event."""

    def close(self) -> None:
        """Likewise for what is still to be written."""
        with suppress(OSError):
            super().close()


class RewrittenFile(logging.Handler):
    """A log where files are written whole or not at all."""

    def __init__(self, path: Path, may_write: Callable[[], bool] = lambda: True) -> None:
        super().__init__()
        self._path = path
        self._may_write = may_write
        self._text = ""
        with suppress(FileNotFoundError):
            self._text = read_bytes(path).decode()
        self._written_s: float | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Soon in the file, and at once where nothing was written for a while."""
        self._text += self.format(record) + "\n"
        now_s = time.monotonic()
        if self._written_s is None or now_s - self._written_s >= REWRITE_INTERVAL_S:
            self._written_s = now_s
            self._write()  # where it cannot, a later event tries again

    def close(self) -> None:
        """The rest goes to the file, if it can."""
        self._write()
        super().close()

    def _write(self) -> None:
        with suppress(OSError):
            if self._may_write():
                write_atomically(self._path, self._text)


@contextmanager
def logging_to(
    path: Path, may_write: Callable[[], bool] = lambda: True, /, **context: Any
) -> Iterator[None]:
    """Events go to this file while the body runs, each with `context` among its fields, and while
    it may be written: behind this run's back it may have become another's."""
    handler: logging.Handler
    if is_local(path):
        make_folder(path.parent)
        handler = AppendedFile(path, may_write)
    else:
        handler = RewrittenFile(path, may_write)
    handler.setFormatter(JsonLine(**context))
    _events.addHandler(handler)
    try:
        yield
    finally:
        _events.removeHandler(handler)
        handler.close()
