"""Pushes to the local Hub in this process, in a time that passes only by waiting."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.hub.push import push
from factory.hub.state import PushState
from tests.hub.folders import empty_folder, hashes, seal_bytes
from tests.hub.protocol import TOKEN, Hub
from tests.hub.pusher import QUICK
from tests.hub.repos import Repo

REPO = "org/labels"
COMMIT = "POST /api/datasets/.*/commit"


@dataclass(slots=True)
class Clock:
    """Time that passes only by waiting."""

    time: float = 1_000_000.0
    waits: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.time += seconds
        return False


def folder_of(tmp_path: Path, num_shards: int) -> Path:
    folder = empty_folder(tmp_path / "dataset")
    seal_bytes(folder, num_shards)
    return folder


def push_quickly(folder: Path, hub: Hub, **options: Any) -> PushState:
    clock = Clock()
    given = {"token": TOKEN, "rhythm": QUICK, "wait": clock.wait, "now": clock.now, **options}
    return push(folder, REPO, endpoint=hub.url, **given)


def shards_of(repo: Repo) -> dict[str, str]:
    return {p: f.sha256 for p, f in repo.files.items() if p.endswith(".parquet")}


def assert_pushed_once(folder: Path, repo: Repo) -> None:
    """The repo's tree is the folder, and every shard was added by one commit."""
    assert shards_of(repo) == hashes(folder)
    assert {path: repo.num_additions(path) for path in hashes(folder)} == dict.fromkeys(
        hashes(folder), 1
    )
    for name in ("README.md", "manifest.json"):
        assert repo.files[name].content == (folder / name).read_bytes()
