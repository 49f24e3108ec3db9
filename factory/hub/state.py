"""Where a push stands: one value that can be printed, stored or sent to another process."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PushState:
    """What the pusher last saw; nothing in it is secret."""

    repo_id: str
    pushed: int = 0
    """Shards of the manifest that the repo holds."""
    pending: int = 0
    """Sealed shards that it does not hold yet."""
    num_commits: int = 0
    """Commits that this pusher made and the Hub confirmed."""
    head: str | None = None
    """The repo's last commit, as last seen."""
    last_error: str | None = None
    """Why the last try failed, in one line; `None` when it did not."""
    next_try: float | None = None
    """Unix time of the next look; `None` when there is none."""
    is_finished: bool = False
    """The job is complete and the repo was seen to hold all of it."""
    is_stopped: bool = False
    """Nothing more will be tried by itself, and `last_error` says why."""
