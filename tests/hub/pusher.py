"""A pusher as a process of its own: `python -m tests.hub.pusher FOLDER REPO URL [FINAL_MARK]`.

Its states go to stdout, one JSON per line. With a mark the folder is final once that file exists.
"""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from factory.hub.push import push
from factory.hub.rhythm import Rhythm
from factory.hub.state import PushState

QUICK = Rhythm(
    files_per_commit=4,
    seconds_between_commits=0.1,
    commits_per_hour=10_000,
    poll_s=0.05,
    backoff_s=0.01,
    backoff_limit_s=0.05,
    patience_s=60.0,
)


def main(folder: str, repo_id: str, url: str, mark: str = "") -> None:
    def show(state: PushState) -> None:
        print(json.dumps(asdict(state)), flush=True)

    def is_complete() -> bool:
        return not mark or Path(mark).exists()

    push(Path(folder), repo_id, endpoint=url, is_complete=is_complete, rhythm=QUICK, watch=show)


def shorten_pauses() -> None:
    """The client's own pauses before it uploads again are seconds; they are not what is tested."""
    pause = time.sleep

    def short_pause(seconds: float, /) -> None:
        pause(min(seconds, 0.05))

    time.sleep = short_pause  # type: ignore[assignment]


if __name__ == "__main__":
    shorten_pauses()
    main(*sys.argv[1:])
