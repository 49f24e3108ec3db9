"""A job sent to a real Ray head: it runs, is found again, can be read, ended and sent again."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from factory.demo import toy_job
from factory.submission.bundle import make_bundle
from factory.submission.client import Client, connect
from factory.submission.jobs import Submitted, follow, logs_of, stop, submit
from schemas.manifest import read_manifest

pytestmark = [pytest.mark.engine, pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(580)]
ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 120


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The dashboard of a head of its own; Ray's sockets need a short path."""
    pytest.importorskip("aiohttp_cors", reason="the dashboard needs the extra 'cluster'")
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    port, dashboard, agent, client = free_ports(4)
    binaries = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",  # where jobs find `python`
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_memory_monitor_refresh_ms": "0",
        "HF_HUB_OFFLINE": "1",
    }
    environment.pop("RAY_ADDRESS", None)
    head = subprocess.Popen(
        [
            *(binaries / "ray", "start", "--head", "--block", "--num-cpus=4"),
            *(f"--port={port}", f"--dashboard-port={dashboard}", "--dashboard-host=127.0.0.1"),
            *(f"--dashboard-agent-listen-port={agent}", f"--ray-client-server-port={client}"),
            *(f"--temp-dir={folder}", f"--object-store-memory={200 << 20}"),
        ],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{dashboard}"
    try:
        _wait_for(f"{url}/api/jobs/", head)
        yield url
    finally:
        head.send_signal(signal.SIGTERM)
        head.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(url: str, head: "subprocess.Popen[bytes]") -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        assert head.poll() is None, "the head ended"
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(1)
    raise AssertionError(f"{url} did not answer")


def sent(client: Client, home: Path, out: Path, num_problems: int) -> Submitted:
    toy_job(home, num_problems)
    with tempfile.TemporaryDirectory() as folder:
        bundle = make_bundle(home.with_name(f"{home.name}-input") / "job.yaml", Path(folder))
        return submit(client, bundle, str(out))


def test_a_job_is_sent_found_again_read_and_finished(address: str, tmp_path: Path) -> None:
    client, out = connect(address), tmp_path / "runs" / "a"
    first = sent(client, tmp_path / "a", out, 4)
    again = sent(client, tmp_path / "a", out, 4)
    assert first.is_new
    assert (again.job_id, again.is_new) == (first.job_id, False)
    printed: list[str] = []
    state = follow(client, first.job_id, printed.append)
    assert state.status == "SUCCEEDED", "".join(printed)
    assert "load it" in "".join(printed)
    assert "load it" in logs_of(client, first.job_id)
    told = subprocess.run(
        [sys.executable, "-m", "factory.cli", "status", "--address", address],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{first.job_id}  SUCCEEDED" in told.stdout
    assert str(out) in told.stdout
    manifest = read_manifest(out)
    assert manifest is not None
    assert manifest.summary["num_problems"] == 4
    assert manifest.problems == "problems.jsonl"


def test_a_stopped_job_goes_on_when_it_is_sent_again(address: str, tmp_path: Path) -> None:
    client, out = connect(address), tmp_path / "runs" / "b"
    first = sent(client, tmp_path / "b", out, 64)
    _until_it_says("starting engines", client, first.job_id)
    assert stop(client, first.job_id).status == "STOPPED"
    assert "run the same command again" in logs_of(client, first.job_id), "it was killed"
    assert not (out / "lease.json").exists()
    again = sent(client, tmp_path / "b", out, 64)
    assert (again.is_new, again.job_id[-2:]) == (True, "-2")
    assert stop(client, again.job_id).status == "STOPPED"


def _until_it_says(text: str, client: Client, job_id: str) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while text not in (said := logs_of(client, job_id)):
        assert time.monotonic() < deadline_s, said
        time.sleep(1)
