"""A push as the job's folder shows it: events in the log, the count in the status."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from factory.errors import InputError
from factory.hub.state import PushState
from factory.watching.events import LOG_FILE, event, logging_to
from factory.watching.status import JobStatus, State
from factory.watching.status_file import STATUS_FILE, read_status, write_status
from schemas.files import is_local, is_there


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
    """Shows a push of a job in the job's folder; of a dataset alone it shows nothing.

    The status of a running job is its own to write, and so is its log in an object store.
    """
    events = PushEvents()
    if not is_there(folder / STATUS_FILE):
        yield events
        return
    status = read_status(folder)
    shares_log = is_local(folder) or not _is_running(status)
    with logging_to(folder / LOG_FILE, job=status.digest) if shares_log else nullcontext():
        try:
            yield events
        finally:
            with suppress(InputError, OSError):
                _note(folder, events.last)


def _note(folder: Path, last: PushState | None) -> None:
    status = read_status(folder)
    if last is not None and not _is_running(status):
        write_status(folder, replace(status, num_shards_pushed=last.pushed))


def _is_running(status: JobStatus) -> bool:
    return status.state is State.RUNNING and status.silent_s(time.time()) is None
