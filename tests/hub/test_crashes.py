"""A Hub that fails and a pusher that is killed, over and over: each shard still comes in once."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hub.faults import Faults
from tests.hub.folders import empty_folder, hashes, seal_bytes
from tests.hub.protocol import TOKEN, Hub
from tests.hub.server import HubServer

REPO = "org/labels"
ROOT = Path(__file__).parents[2]
SLOW_SEEDS = range(3, 27)


def start(
    folder: Path, url: str, mark: Path, log: Path, env: dict[str, str]
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.hub.pusher", str(folder), REPO, url, str(mark)]
    with log.open("ab") as file:
        return subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file, env=env)


def survive(
    seed: int, num_kills: int, server: HubServer, tmp_path: Path, env: dict[str, str]
) -> None:
    """A job seals shards while its pusher is killed; then one pusher is left to finish."""
    draw = random.Random(seed)
    folder = empty_folder(tmp_path / "dataset")
    mark, log = tmp_path / "final", tmp_path / "log"
    server.hub.faults = Faults(rate=0.25, draw=random.Random(seed))
    pusher = None
    try:
        for _ in range(num_kills):
            seal_bytes(folder, draw.randint(1, 5))
            pusher = start(folder, server.url, mark, log, env)
            before = len(server.hub.requests)
            while len(server.hub.requests) == before:
                assert pusher.poll() is None, log.read_text()
                time.sleep(0.005)
            time.sleep(draw.uniform(0.0, 0.6))
            pusher.kill()
            pusher.wait()
        seal_bytes(folder, 3)
        mark.touch()
        pusher = start(folder, server.url, mark, log, env)
        assert pusher.wait(timeout=90) == 0, log.read_text()
    finally:
        if pusher is not None:
            pusher.kill()
            pusher.wait()
    assert_exactly_once(folder, server.hub)
    assert TOKEN not in log.read_text()
    assert server.hub.faults.num_injected > 0


def assert_exactly_once(folder: Path, hub: Hub) -> None:
    repo, wanted = hub.repos[REPO], hashes(folder)
    assert {p: f.sha256 for p, f in repo.files.items() if p.startswith("data/")} == wanted
    assert {path: repo.num_additions(path) for path in wanted} == dict.fromkeys(wanted, 1)
    for name in ("README.md", "manifest.json"):
        assert repo.files[name].content == (folder / name).read_bytes()


@pytest.mark.parametrize("seed", range(3))
def test_each_shard_is_added_once_through_faults_and_kills(
    server: HubServer, tmp_path: Path, client_env: dict[str, str], seed: int
) -> None:
    survive(seed, 3, server, tmp_path, client_env)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW_SEEDS)
def test_each_shard_is_added_once_through_many_faults_and_kills(
    server: HubServer, tmp_path: Path, client_env: dict[str, str], seed: int
) -> None:
    survive(seed, 12, server, tmp_path, client_env)
