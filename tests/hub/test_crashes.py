"""A Hub that fails and a pusher that is killed, over and over: each shard still comes in once."""

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub.faults import Faults
from tests.hub.folders import empty_folder, hashes, seal_bytes
from tests.hub.protocol import TOKEN, Hub
from tests.hub.server import HubServer
from workers.scratch import remove_abandoned

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
    seed: int,
    num_kills: int,
    server: HubServer,
    tmp_path: Path,
    env: dict[str, str],
    sealed: Callable[[Path], object] = lambda folder: None,
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
            sealed(folder)
            pusher = start(folder, server.url, mark, log, env)
            before = len(server.hub.requests)
            while len(server.hub.requests) == before:
                assert pusher.poll() is None, log.read_text()
                time.sleep(0.005)
            time.sleep(draw.uniform(0.0, 0.6))
            pusher.kill()
            pusher.wait()
        seal_bytes(folder, 3)
        sealed(folder)
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


def test_each_shard_is_added_once_by_xet_too(
    server: HubServer, tmp_path: Path, client_env: dict[str, str]
) -> None:
    """The Hub's own requests fail; where the bytes go to is a folder."""
    server.hub.xet_url = f"local://{tmp_path / 'xet'}"

    def sealed(folder: Path) -> None:
        for path, sha256 in hashes(folder).items():
            server.hub.large[sha256] = (folder / path).read_bytes()

    env = {**client_env, "HF_HUB_DISABLE_XET": "0"}
    survive(3, 1, server, tmp_path, env, sealed)
    assert not any("lfs" in request for request in server.hub.requests)
    assert any("xet-write-token" in request for request in server.hub.requests)


COPIES = """
import os, signal, sys, tempfile
tempfile.tempdir = sys.argv[1]
from factory.hub.remote import _on_this_machine
from schemas.files import place, write_atomically
from schemas.manifest import ShardEntry
shard = ShardEntry(path="data/train-00000.parquet", sha256="", num_bytes=1, num_rows=1)
write_atomically(place("memory://dataset") / shard.path, "x")
with _on_this_machine(place("memory://dataset"), [shard]) as here:
    assert (here / shard.path).read_text() == "x"
    print(here, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_push_had_copied_goes_with_the_next_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", COPIES, str(tmp_path)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60).stdout
    assert Path(said.strip()).is_dir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    remove_abandoned()
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW_SEEDS)
def test_each_shard_is_added_once_through_many_faults_and_kills(
    server: HubServer, tmp_path: Path, client_env: dict[str, str], seed: int
) -> None:
    survive(seed, 12, server, tmp_path, client_env)
