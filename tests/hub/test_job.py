"""A job that pushes while it runs."""

from pathlib import Path

import pytest

from tests.hub.protocol import TOKEN
from tests.hub.server import HubServer
from tests.pipeline.drivers import eventually, finished, manifest_in, started
from tests.pipeline.scripted_job import write_problems

pytestmark = pytest.mark.ray


def test_a_job_is_pushed_while_it_runs(
    tmp_path: Path, server: HubServer, client_env: dict[str, str]
) -> None:
    problems = write_problems(tmp_path / "p.jsonl", 64)
    out = tmp_path / "out"
    process = started(out, problems, "delay_s=0.5", 'push_to="org/labels"', **client_env)
    repo = server.hub.repos

    def num_there() -> int:
        files = repo["org/labels"].files if "org/labels" in repo else {}
        return sum(path.endswith(".parquet") for path in files)

    eventually(lambda: num_there() > 0, process)
    was_running = process.poll() is None
    said = finished(process)
    assert was_running
    assert TOKEN not in said
    files = repo["org/labels"].files
    pushed = {p: f.sha256 for p, f in files.items() if p.endswith(".parquet")}
    assert pushed == {s.path: s.sha256 for s in manifest_in(out).shards}
    assert {repo["org/labels"].num_additions(path) for path in pushed} == {1}
    assert files["manifest.json"].content == (out / "dataset" / "manifest.json").read_bytes()
