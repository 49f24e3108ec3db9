"""A job that is pushed while it runs: every shard once, whatever becomes of Hub and driver."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from factory.watching.status_file import read_status
from tests.hub.faults import Faults
from tests.hub.protocol import TOKEN
from tests.hub.server import HubServer
from tests.pipeline.drivers import (
    ROOT,
    Driver,
    eventually,
    finished,
    killed,
    labelling,
    manifest_in,
    started,
)
from tests.pipeline.scripted_job import write_job

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]
REPO = "org/labels"


def num_there(server: HubServer) -> int:
    repo = server.hub.repos.get(REPO)
    return sum(path.endswith(".parquet") for path in repo.files) if repo else 0


def assert_pushed_once(out: Path, server: HubServer) -> None:
    """The repo's tree is the manifest's, and every shard was added by one commit."""
    repo = server.hub.repos[REPO]
    pushed = {p: f.sha256 for p, f in repo.files.items() if p.endswith(".parquet")}
    assert manifest_in(out).is_complete
    assert pushed == {s.path: s.sha256 for s in manifest_in(out).shards}
    assert {repo.num_additions(path) for path in pushed} == {1}
    for name in ("README.md", "manifest.json"):
        assert repo.files[name].content == (out / "dataset" / name).read_bytes()


def test_a_job_is_pushed_while_it_runs(
    tmp_path: Path, server: HubServer, client_env: dict[str, str]
) -> None:
    job, out = write_job(tmp_path, 64, push_to=REPO), tmp_path / "out"
    driver = labelling(job, out, delay_s=0.5, env=client_env)
    eventually(lambda: num_there(server) > 0, driver)
    was_running = driver.poll() is None
    said = finished(driver)
    assert was_running
    assert_pushed_once(out, server)
    assert TOKEN not in said
    assert not [f for f in out.rglob("*") if f.is_file() and TOKEN.encode() in f.read_bytes()]
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    num_shards = len(manifest_in(out).shards)
    assert sum(event["event"] == "shard sealed" for event in events) == num_shards
    assert [e["num_pushed"] for e in events if e["event"] == "pushed"][-1] == num_shards
    status = read_status(out)
    assert (status.num_shards_sealed, status.num_shards_pushed) == (num_shards, num_shards)


@pytest.mark.slow
def test_a_hub_that_fails_every_fourth_request_gets_everything_once(
    tmp_path: Path, server: HubServer, client_env: dict[str, str]
) -> None:
    server.hub.faults = Faults(rate=0.25, draw=random.Random(1))
    job, out = write_job(tmp_path, 64, push_to=REPO), tmp_path / "out"
    finished(labelling(job, out, delay_s=0.5, env=client_env))
    assert server.hub.faults.num_injected > 0
    assert_pushed_once(out, server)


@pytest.mark.slow
def test_a_job_that_is_killed_while_it_pushes_goes_on_to_the_same_repo(
    tmp_path: Path, server: HubServer, client_env: dict[str, str]
) -> None:
    job, out = write_job(tmp_path, 64, push_to=REPO), tmp_path / "out"
    for num_shards in (1, 3, 6):
        driver = labelling(job, out, delay_s=0.5, env=client_env)
        eventually(lambda enough=num_shards: num_there(server) >= enough, driver)
        assert driver.poll() is None
        killed(driver)
    finished(labelling(job, out, env=client_env))
    assert_pushed_once(out, server)


@pytest.mark.slow
def test_another_process_follows_a_running_job(
    tmp_path: Path, server: HubServer, client_env: dict[str, str]
) -> None:
    job, out = write_job(tmp_path, 64), tmp_path / "out"
    driver = labelling(job, out, delay_s=0.5)
    eventually((out / "manifest.json").exists, driver)
    pushing = started("push", out, REPO, "--follow", env=client_env)
    eventually(lambda: num_there(server) > 0 or pushing.poll() is not None, driver)
    assert driver.poll() is None
    finished(driver)
    finished(pushing)
    assert_pushed_once(out, server)


@pytest.fixture
def reader(client_env: dict[str, str]) -> Iterator[Driver]:
    command = [sys.executable, "-m", "tests.hub.loader"]
    with subprocess.Popen(
        command, cwd=ROOT, env=client_env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        yield process
        process.kill()


@pytest.mark.slow
def test_what_is_pushed_streams_at_every_moment_of_the_job(
    tmp_path: Path, server: HubServer, client_env: dict[str, str], reader: Driver
) -> None:
    def streamed() -> list[str]:
        assert reader.stdin is not None
        assert reader.stdout is not None
        reader.stdin.write(f"{REPO}\n")
        reader.stdin.flush()
        return list(json.loads(reader.stdout.readline()))

    job, out = write_job(tmp_path, 64, push_to=REPO), tmp_path / "out"
    driver = labelling(job, out, delay_s=1.0, env=client_env)
    seen: list[list[str]] = []
    for num_shards in (1, 4, 8):
        eventually(lambda enough=num_shards: num_there(server) >= enough, driver)
        assert driver.poll() is None
        seen.append(streamed())
    finished(driver)
    seen.append(streamed())
    for earlier, later in pairwise(seen):
        assert earlier
        assert set(earlier) <= set(later)
    assert len(seen[-1]) == sum(shard.num_rows for shard in manifest_in(out).shards)
    assert_pushed_once(out, server)
