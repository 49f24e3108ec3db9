"""Brings a dataset folder's sealed shards into a Hub repo, each exactly once, while a job runs.

One round looks at the folder and, when something is due, reads the repo's tree at its head, takes
as pushed what is there with the same hash, and commits what is missing against that head. Whatever
goes wrong, the next round begins by reading the tree again: a commit whose answer was lost is then
found there, and one made against an old head cannot land.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from factory.errors import InputError
from factory.hub.comparison import Comparison, changed, compare
from factory.hub.remote import Remote, Tree, check_target
from factory.hub.rhythm import Rhythm
from factory.hub.source import Source, read_source
from factory.hub.state import PushState
from factory.hub.trouble import ANSWERABLE, NotYet, Trouble, trouble_of
from schemas.files import is_there
from schemas.manifest import ShardEntry


def sleep(seconds: float) -> bool:
    """Waits; `threading.Event().wait` in its place lets another thread end the push."""
    time.sleep(seconds)
    return False


def push(
    folder: Path,
    repo_id: str,
    *,
    token: str | None = None,
    revision: str = "main",
    is_private: bool | None = None,
    endpoint: str | None = None,
    is_complete: Callable[[], bool] = lambda: True,
    rhythm: Rhythm | None = None,
    watch: Callable[[PushState], object] = lambda state: None,
    uploading: Callable[[PushState, int], object] = lambda state, num_bytes: None,
    wait: Callable[[float], bool] = sleep,
    now: Callable[[], float] = time.time,
) -> PushState:
    """Pushes until `is_complete` says that the folder is final and the repo holds all of it.

    By default the folder is final. `is_complete` is asked before the folder is read, so it may
    turn true as soon as the last manifest is in place. `watch` gets every new state, `uploading`
    the one before a commit with the bytes of its shards; `wait` waits so many seconds, and ends the
    push by returning true.

    A Hub that cannot be reached raises nothing: `last_error` and `next_try` of the state tell,
    and once the folder is final the push ends after `Rhythm.patience_s` without success, not
    counting waits that the Hub asked for; calling it again goes on from what the repo holds.
    `is_private` matters where the repo is created.

    Raises InputError when trying again would not help: no token or one without the right, a name
    that is none, a different file under a shard's name, shards of another dataset in the repo, a
    damaged folder.
    """
    token = check_target(repo_id, token)
    rhythm = rhythm or Rhythm()
    remote = Remote(
        repo_id, token=token, revision=revision, is_private=is_private, endpoint=endpoint
    )
    pusher = _Pusher(folder, remote, token, rhythm, now, uploading)
    draw = random.Random()
    num_failures, trouble_since, is_last = 0, 0.0, False

    def look() -> float:
        nonlocal is_last
        is_last = is_complete()
        return pusher.round(is_last)

    while True:
        outcome = _attempt(look, repo_id, token)
        if isinstance(outcome, Trouble):
            if outcome.is_final:
                raise InputError(outcome.message)
            num_failures += 1
            delay = rhythm.backoff(num_failures, outcome.retry_after_s, draw)
            if num_failures == 1 or not is_last or outcome.retry_after_s is not None:
                trouble_since = now() + (outcome.retry_after_s or 0.0)
            gives_up = is_last and now() + delay - trouble_since > rhythm.patience_s
            state = replace(pusher.state, last_error=outcome.message, is_stopped=gives_up)
        else:
            num_failures, delay, state = 0, outcome, pusher.state
        is_over = state.is_finished or state.is_stopped
        state = replace(state, next_try=None if is_over else now() + delay)
        watch(state)
        if is_over or wait(delay):
            return replace(state, next_try=None)


def check_access(
    folder: Path,
    repo_id: str,
    *,
    token: str | None = None,
    revision: str = "main",
    is_private: bool | None = None,
    endpoint: str | None = None,
) -> str | None:
    """Looks at the repo before a job starts, and makes it where it is absent.

    Returns why nothing more can be pushed there, where the folder and the repo both hold shards
    and these differ, as they do after a correction: that must not hold the job.

    Raises InputError for what no waiting would mend: no token or none that is accepted, no right
    to make the repo, rows in it before the folder has any. A Hub that cannot be reached is none
    of these.
    """
    token = check_target(repo_id, token)
    remote = Remote(
        repo_id, token=token, revision=revision, is_private=is_private, endpoint=endpoint
    )
    try:
        tree = remote.read()
        source = read_source(folder, token)
        if source is not None:
            return _difference(source, tree, folder, repo_id)
        if rows := sorted(path for path in tree.files if path.endswith(".parquet")):
            raise InputError(
                f"{repo_id} holds {rows[0]} already, and {folder} has published nothing yet: push "
                "to another repo or revision"
            )
    except ANSWERABLE as error:
        trouble = trouble_of(error, repo_id, token)
        if trouble.is_final:
            raise InputError(trouble.message) from None
    return None


def _difference(source: Source, tree: Tree, folder: Path, repo_id: str) -> str | None:
    try:
        compare(source.shards, tree, folder, repo_id)
    except InputError as error:
        return str(error)
    return None


def _attempt(look: Callable[[], float], repo_id: str, token: str) -> float | Trouble:
    """One look: seconds until the next one, or what went wrong, without its exception."""
    try:
        return look()
    except ANSWERABLE as error:
        return trouble_of(error, repo_id, token)


class _Pusher:
    """One run's rounds, and what it knows between them; the repo's tree is the only record."""

    def __init__(
        self,
        folder: Path,
        remote: Remote,
        token: str,
        rhythm: Rhythm,
        now: Callable[[], float],
        uploading: Callable[[PushState, int], object],
    ) -> None:
        self._folder = folder
        self._remote = remote
        self._token = token
        self._rhythm = rhythm
        self._now = now
        self._uploading = uploading
        self._sent: set[str] = set()
        """Shards in commits that the Hub confirmed to this pusher."""
        self._there: set[str] | None = None
        """Shards that the repo was seen to hold; `None` before it was first seen."""
        self._has_had_ours = False
        """Ever. A repo that is gone then was taken away by somebody."""
        self._commits: list[float] = []
        self.state = PushState(repo_id=remote.repo_id)

    def round(self, is_last: bool) -> float:
        """Commits what is due; returns the seconds until something may be due again."""
        if self._there is not None and (delay := self._idle_delay(is_last)) > 0:
            return delay
        tree = self._remote.read(may_create=not self._has_had_ours)
        source = self._source(is_last)  # after the tree: its manifest knows what was committed
        if source is None:
            self._see(tree, there=(), missing=())
            return self._rhythm.poll_s
        found = self._compare(source, tree)
        self._see(tree, there=found.there, missing=found.missing)
        batch = self._rhythm.batch(found.missing)
        is_final = is_last and len(batch) == len(found.missing)
        left = {shard.path for shard in found.missing[len(batch) :]}
        held = [shard for shard in source.shards if shard.path not in left]
        documents = changed(source.documents(held, is_final=is_final), tree)
        if not batch and not (is_last and documents):
            self.state = replace(self.state, is_finished=is_last)
            return self._rhythm.poll_s
        if (delay := self._commit_delay(found.missing, is_last)) > 0:
            return min(delay, self._rhythm.poll_s)
        self._commit(tree, found, batch, documents)
        return 0.0

    def _idle_delay(self, is_last: bool) -> float:
        """Positive while the folder alone shows that there is nothing to ask of the Hub."""
        source = self._source(is_last)
        assert self._there is not None
        shards = source.shards if source else ()
        missing = [shard for shard in shards if shard.path not in self._there]
        self.state = replace(self.state, pending=len(missing))
        if not missing:  # at the end the repo is looked at once more
            return 0.0 if is_last else self._rhythm.poll_s
        return min(self._commit_delay(missing, is_last), self._rhythm.poll_s)

    def _commit_delay(self, missing: Sequence[ShardEntry], is_last: bool) -> float:
        return self._rhythm.commit_delay(missing, self._commits, self._now(), is_last=is_last)

    def _source(self, is_last: bool) -> Source | None:
        """The folder; `None` while it has no shards. Those that the repo holds are not looked for.

        Raises InputError for what a final folder has to have, NotYet where it may still come.
        """
        source = read_source(self._folder, self._token)
        if source is None or not source.shards:
            if is_last:
                raise InputError(
                    f"{self._folder} lists no Parquet shards: nothing to push; publish it with "
                    "format parquet first"
                )
            return None
        there = self._there or set()
        for shard in source.shards:
            if shard.path not in there and not is_there(self._folder / shard.path):
                message = f"{self._folder} lists {shard.path}, which is not there"
                raise InputError(message) if is_last else NotYet(message)
        return source

    def _compare(self, source: Source, tree: Tree) -> Comparison:
        found = compare(source.shards, tree, self._folder, self._remote.repo_id)
        if lost := [shard.path for shard in found.missing if shard.path in self._sent]:
            raise NotYet(
                f"{self._remote.repo_id} took {lost[0]} and does not list it at {tree.head}: "
                "was it deleted?"
            )
        return found

    def _see(
        self, tree: Tree, *, there: Sequence[ShardEntry], missing: Sequence[ShardEntry]
    ) -> None:
        seen = {shard.path for shard in there}
        if self._there is not None and seen - self._there:  # a commit whose answer was lost
            self._commits.append(self._now())
        self._there = seen
        self._has_had_ours = self._has_had_ours or bool(seen)
        self.state = replace(self.state, head=tree.head, pushed=len(there), pending=len(missing))

    def _commit(
        self,
        tree: Tree,
        found: Comparison,
        batch: Sequence[ShardEntry],
        documents: dict[str, str],
    ) -> None:
        num_rows = sum(shard.num_rows for shard in batch)
        message = f"Add {len(batch)} shards, {num_rows} rows" if batch else "Update card"
        self._uploading(self.state, sum(shard.num_bytes for shard in batch))
        head = self._remote.commit(tree.head, self._folder, batch, documents, message)
        paths = {shard.path for shard in batch}
        self._commits.append(self._now())
        self._sent |= paths
        assert self._there is not None
        self._there |= paths
        self._has_had_ours = True
        self.state = replace(
            self.state,
            head=head,
            pushed=len(found.there) + len(batch),
            pending=len(found.missing) - len(batch),
            num_commits=self.state.num_commits + 1,
        )
