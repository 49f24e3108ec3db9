"""When to commit and how much of it, and how long to wait after a failure. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.manifest import ShardEntry

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """The Hub advises fewer than 100 files a commit and limits commits by the hour, at a number it
    does not publish; public pipelines live with 60."""

    files_per_commit: int = 50
    bytes_per_commit: int = 2 << 30
    """A shard larger than this is committed alone."""
    seconds_between_commits: float = 600.0
    """While the job runs, fewer shards than fill a commit wait this long for more."""
    commits_per_hour: int = 60
    poll_s: float = 5.0
    """How often the folder is looked at."""
    backoff_s: float = 2.0
    backoff_limit_s: float = 300.0
    patience_s: float = 600.0
    """Without success for so long after the job is complete, the push ends and says so."""
    silence_s: float = 900.0
    """A job that is complete waits so long for a push that says nothing, and longer for an upload:
    as long as it takes at `least_bytes_per_s`. The bytes that have gone cannot be seen."""
    least_bytes_per_s: float = 256 << 10

    def __post_init__(self) -> None:
        if not 1 <= self.files_per_commit <= 90:
            raise ValueError(f"{self.files_per_commit} shards per commit: it has to be 1 to 90")
        if self.commits_per_hour < 1 or self.bytes_per_commit < 1:
            raise ValueError("commits_per_hour and bytes_per_commit have to be at least 1")

    def batch(self, missing: Sequence[ShardEntry]) -> tuple[ShardEntry, ...]:
        """The first of the missing shards, as many as one commit takes; at least one."""
        num_bytes, taken = 0, 0
        for shard in missing[: self.files_per_commit]:
            num_bytes += shard.num_bytes
            if taken and num_bytes > self.bytes_per_commit:
                break
            taken += 1
        return tuple(missing[:taken])

    def is_full(self, missing: Sequence[ShardEntry]) -> bool:
        """Whether waiting for more shards would not make the next commit any larger."""
        return (
            len(missing) >= self.files_per_commit
            or sum(shard.num_bytes for shard in missing) >= self.bytes_per_commit
        )

    def longest_silence_s(self, uploading_bytes: int) -> float:
        """How long a push may say nothing while it uploads so much."""
        return self.silence_s + uploading_bytes / self.least_bytes_per_s

    def commit_delay(
        self, missing: Sequence[ShardEntry], commits: Sequence[float], now: float, *, is_last: bool
    ) -> float:
        """Seconds until the missing shards should go; `commits` are the times of those made.

        The first shard goes at once, so that there is something to load.
        """
        delay = 0.0
        if commits and not (is_last or self.is_full(missing)):
            delay = commits[-1] + self.seconds_between_commits - now
        if len(commits) >= self.commits_per_hour:
            delay = max(delay, commits[-self.commits_per_hour] + HOUR_S - now)
        return max(delay, 0.0)

    def backoff(self, num_failures: int, retry_after_s: float | None, draw: random.Random) -> float:
        """Seconds to wait after so many failures in a row; never less than the Hub asked for."""
        doubled = self.backoff_s * 2.0 ** min(num_failures - 1, 30)
        delay = min(doubled, self.backoff_limit_s) * draw.uniform(0.5, 1.0)
        return delay if retry_after_s is None else retry_after_s + min(delay, self.backoff_s)
