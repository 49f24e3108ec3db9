"""The published dataset loads at every moment of the run, by the real `datasets`."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from factory.job import OutputSection
from factory.publish import publish
from factory.recipes import load_recipe
from tests.factory.builders import group, manifest_of
from tests.hub.folders import empty_folder, hashes, seal
from tests.hub.protocol import Hub
from tests.hub.quick import push_quickly
from tests.hub.server import HubServer

REPO = "org/labels"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def reader(client_env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.hub.loader"]
    with subprocess.Popen(
        command, cwd=ROOT, env=client_env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        yield process
        process.kill()


def streamed(reader: subprocess.Popen[str]) -> list[str]:
    assert reader.stdin is not None
    assert reader.stdout is not None
    assert reader.stderr is not None
    reader.stdin.write(f"{REPO}\n")
    reader.stdin.flush()
    line = reader.stdout.readline()
    assert line, reader.stderr.read()
    return list(json.loads(line))


def problem_ids(folder: Path) -> list[str]:
    ids = [
        pq.read_table(folder / path)["problem_id"].to_pylist() for path in sorted(hashes(folder))
    ]
    return [problem_id for shard in ids for problem_id in shard]


def wait_for(hub: Hub, num_shards: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        files = hub.repos[REPO].files if REPO in hub.repos else {}
        if sum(path.endswith(".parquet") for path in files) == num_shards:
            return
        time.sleep(0.02)
    raise AssertionError(f"{num_shards} shards never came")


def test_the_dataset_streams_while_it_grows_and_when_it_is_whole(
    server: HubServer, tmp_path: Path, client_env: dict[str, str], reader: subprocess.Popen[str]
) -> None:
    folder, mark = empty_folder(tmp_path / "dataset"), tmp_path / "final"
    command = [sys.executable, "-m", "tests.hub.pusher", str(folder), REPO, server.url, str(mark)]
    with subprocess.Popen(command, cwd=ROOT, env=client_env, stdout=subprocess.DEVNULL) as pusher:
        try:
            for num_shards in (1, 3, 8):
                seal(folder, num_shards - len(hashes(folder)))
                wait_for(server.hub, num_shards)
                assert streamed(reader) == problem_ids(folder)
            mark.touch()
            assert pusher.wait(timeout=30) == 0
        finally:
            pusher.kill()
    assert streamed(reader) == problem_ids(folder)
    assert b"Growing" not in server.hub.repos[REPO].files["README.md"].content


def test_shards_go_by_xet_where_the_client_has_it(
    server: HubServer, tmp_path: Path, client_env: dict[str, str]
) -> None:
    folder, storage = empty_folder(tmp_path / "dataset"), tmp_path / "xet"
    seal(folder, 3)
    for path, sha256 in hashes(folder).items():
        server.hub.large[sha256] = (folder / path).read_bytes()
    server.hub.xet_url = f"local://{storage}"
    command = [sys.executable, "-m", "tests.hub.pusher", str(folder), REPO, server.url]
    env = {**client_env, "HF_HUB_DISABLE_XET": "0"}
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout.splitlines()[-1])["is_finished"], done.stdout
    assert any(file.is_file() for file in storage.rglob("*"))
    assert not any("lfs" in request for request in server.hub.requests)
    files = server.hub.repos[REPO].files
    assert {p: f.sha256 for p, f in files.items() if p.startswith("data/")} == hashes(folder)


def test_what_a_job_publishes_is_pushed_and_streams_back(
    server: HubServer, tmp_path: Path, reader: subprocess.Popen[str]
) -> None:
    recipe = load_recipe("math-shepherd")
    groups = [group(f"p{i}") for i in range(5)]
    dataset = tmp_path / "dataset"
    publish(
        evidence=[(n, groups[2 * n : 2 * n + 2]) for n in range(3)],
        folder=dataset,
        manifest=manifest_of(recipe),
        labeler=recipe.labeler,
        output=OutputSection(),
    )
    state = push_quickly(dataset, server.hub)
    assert (state.is_finished, state.pushed) == (True, 3)
    assert streamed(reader) == [f"p{i}" for i in range(5)]
    card = server.hub.repos[REPO].files["README.md"].content
    assert card == (dataset / "README.md").read_bytes()
