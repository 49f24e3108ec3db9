"""A push beside a running job, in a thread of its own: it never blocks and never raises."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from factory.errors import InputError, shortened
from factory.hub.push import push
from factory.hub.remote import check_target
from factory.hub.rhythm import Rhythm
from factory.hub.state import PushState
from factory.hub.trouble import redacted

MOMENT_S = 1.0
"""A wait of which nothing has to be said."""


class BackgroundPush:
    """`with BackgroundPush(folder, "org/name") as pusher:` label, and at the end
    `pusher.complete()` and `pusher.join(timeout_s)`. Leaving the block ends the push; what is not
    pushed yet stays in the folder for another one.
    """

    def __init__(
        self,
        folder: Path,
        repo_id: str,
        *,
        token: str | None = None,
        watch: Callable[[PushState], object] = lambda state: None,
        rhythm: Rhythm | None = None,
        **options: Any,
    ) -> None:
        """Takes `push`'s options but `is_complete`, `uploading` and `wait`. `watch` is called in
        the thread, and where the push is given up by `finish`.

        Raises InputError when there is no token, and when the name is not one of a repo.
        """
        self._token = check_target(repo_id, token)
        self._arguments = (folder, repo_id)
        self._rhythm = rhythm or Rhythm()
        self._options = options
        self._watch = watch
        self._is_complete = threading.Event()
        self._stop = threading.Event()
        self._state = PushState(repo_id=repo_id)
        self._uploading_bytes = 0
        """Of the commit under way."""
        self._heard_s = time.monotonic()
        """When the push last said anything."""
        self._thread = threading.Thread(target=self._run, name="hub-push", daemon=True)

    @property
    def state(self) -> PushState:
        """The last state seen."""
        return self._state

    def complete(self) -> None:
        """Says that the folder is final; call it when the last manifest is in place."""
        self._is_complete.set()

    def join(self, timeout_s: float | None = None) -> PushState:
        """Waits for the end of the push, at most so long."""
        self._thread.join(timeout_s)
        return self._state

    def finish(self, waiting: Callable[[PushState], object] = lambda state: None) -> PushState:
        """Says that the folder is final, and waits for the end of the push.

        It leaves earlier where no shard has gone for `Rhythm.patience_s` and the Hub has to be
        waited for again, and where the push says nothing for `Rhythm.longest_silence_s`: waits of
        its own requests are bounded, those of the client's Xet are not.
        `waiting` gets the state when that takes longer than a moment, and again when it tells of
        other shards or another error.
        """
        self.complete()
        told: tuple[int, str | None] | None = None
        seen, since_s = self._state, time.monotonic()
        waited_s = since_s
        while self._thread.is_alive():
            self._thread.join(MOMENT_S)
            state, now_s = self._state, time.monotonic()
            if self._thread.is_alive() and told != (state.pushed, state.last_error):
                told = (state.pushed, state.last_error)
                waiting(state)
            if state.pushed != seen.pushed:
                seen, since_s = state, now_s
            is_waiting = (state.next_try or 0.0) > time.time() and state.last_error is not None
            waited_s = now_s if is_waiting else waited_s
            if is_waiting and now_s - since_s > self._rhythm.patience_s:
                break
            if self._thread.is_alive() and self._is_too_silent(since_s=waited_s):
                break
        return self._state

    def _is_too_silent(self, *, since_s: float) -> bool:
        limit_s = self._rhythm.longest_silence_s(self._uploading_bytes)
        silent_s = time.monotonic() - max(self._heard_s, since_s)  # after the limit it may lift
        is_too_silent = silent_s > limit_s
        if is_too_silent:
            self._give_up(f"the push was silent for {silent_s / 60:.0f} min")
        return is_too_silent

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()

    def _run(self) -> None:
        try:
            self._keep(
                push(
                    *self._arguments,
                    token=self._token,
                    is_complete=self._is_complete.is_set,
                    watch=self._keep,
                    uploading=self._upload,
                    wait=self._stop.wait,
                    rhythm=self._rhythm,
                    **self._options,
                )
            )
        except InputError as error:
            self._give_up(str(error))
        except Exception as error:  # a bug here must not cost the labels of a running job
            self._give_up(shortened(f"bug: {type(error).__name__}: {error}"))

    def _upload(self, state: PushState, num_bytes: int) -> None:
        self._state = replace(state, last_error=self._state.last_error)
        self._uploading_bytes, self._heard_s = num_bytes, time.monotonic()

    def _keep(self, state: PushState) -> None:
        self._state = state
        self._uploading_bytes, self._heard_s = 0, time.monotonic()
        self._watch(state)

    def _give_up(self, message: str) -> None:
        self._keep(
            replace(
                self._state,
                last_error=redacted(message, self._token),
                next_try=None,
                is_stopped=True,
            )
        )
