"""A push to the Hub in a line for a person."""

import time
from collections.abc import Callable
from pathlib import Path

from factory.errors import InputError
from factory.hub.state import PushState
from factory.report.stage_lines import headline
from factory.watching.status import State
from factory.watching.status_file import read_status


def push_line(state: PushState) -> str:
    """How far it is."""
    trouble = f", {state.last_error}" if state.last_error else ""
    return f"{state.repo_id}: {state.pushed:,} of {state.pushed + state.pending:,} shards{trouble}"


def unfinished_line(state: PushState, folder: str) -> str:
    """Why it ended before all was there, and how to go on."""
    why = state.last_error or "the Hub takes no more for now"
    return (
        f"{why}: {state.pushed:,} of {state.pushed + state.pending:,} shards are in "
        f"{state.repo_id}; prm-factory push {folder} {state.repo_id} goes on"
    )


class Driver:
    """Says that nobody works on a job any more, and that somebody does again: a push that follows
    it would wait without a word. Of a dataset without a job's status nothing is said."""

    def __init__(
        self, folder: Path, say: Callable[[str], object], now: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._say = say
        self._now = now
        self._is_away = False

    def look(self) -> None:
        """Compares with the last look; a status that cannot be read is no news."""
        try:
            status = read_status(self._folder)
        except (InputError, OSError):
            return
        now = self._now()
        is_away = status.state in (State.STOPPED, State.FAILED) or status.silent_s(now) is not None
        if is_away != self._is_away:
            self._is_away = is_away
            waits = "; this push waits for it" if is_away else ""
            self._say(f"the job: {headline(status, now)}{waits}")
