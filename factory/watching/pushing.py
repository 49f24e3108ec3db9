"""A push as the job's folder shows it: events in the log, the count in the status."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from factory.errors import InputError
from factory.hub.state import PushState
from factory.watching.events import LOG_FILE, event, logging_to
from factory.watching.status_file import STATUS_FILE, read_status, write_status


class PushEvents:
    """Says what is new in each state of a push: shards that the Hub holds, and errors."""

    def __init__(self) -> None:
        self.last: PushState | None = None

    def read(self, state: PushState) -> None:
        """Compares with the state before."""
        before = self.last
        self.last = state
        if state.head and (before is None or before.pushed != state.pushed):
            event("pushed", repo=state.repo_id, num_pushed=state.pushed, num_pending=state.pending)
        if state.last_error and (before is None or before.last_error != state.last_error):
            event("push in trouble", repo=state.repo_id, error=state.last_error)


@contextmanager
def push_seen(folder: Path) -> Iterator[PushEvents]:
    """Shows a push of a finished job in the job's folder; of a dataset alone it shows nothing."""
    events = PushEvents()
    if not (folder / STATUS_FILE).exists():
        yield events
        return
    with logging_to(folder / LOG_FILE, job=read_status(folder).digest):
        try:
            yield events
        finally:
            if (last := events.last) is not None:
                with suppress(InputError, OSError):
                    write_status(
                        folder, replace(read_status(folder), num_shards_pushed=last.pushed)
                    )
