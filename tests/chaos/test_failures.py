"""What a job does when storage, an engine or a person ends it: through the command line, on Ray."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from factory.bench.scripted_world import problems
from factory.toy import MODEL_DIR
from tests.chaos.published import read_published

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
NUM_PROBLEMS = 24


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 8 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def start(
    folder: Path, out: Path, delay_s: float = 0.1, **generator: object
) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    rows = "".join(json.dumps(row) + "\n" for row in problems(NUM_PROBLEMS))
    (folder / "problems.jsonl").write_text(rows)
    section: dict[str, Any] = {"model": str(MODEL_DIR), "engine_args": {"max_model_len": 8192}}
    section |= {"groups_in_flight": 8, **generator}
    job = {"problems": {"path": "problems.jsonl"}, "generator": section}
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    command = [sys.executable, "-m", "tests.chaos.driver", "label", str(folder / "job.yaml")]
    return subprocess.Popen(
        [*command, "--out", str(out)],
        cwd=ROOT,
        env=os.environ | {"CHAOS_DELAY_S": str(delay_s)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(driver: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what was said on the error stream."""
    _, said = driver.communicate()
    return driver.returncode, said


def wait_for(found: Callable[[], object], driver: subprocess.Popen[str]) -> None:
    """Waits as long as the job runs; the test's own limit is behind it."""
    while not found():
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.05)


def batches(out: Path) -> list[Path]:
    return list((out / "stages" / "estimate").glob("*/*.parquet"))


def fill(file: Path) -> None:
    """Writes until there is no room."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while os.write(descriptor, bytes(4096)):
            pass
    os.close(descriptor)


def core_of(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    """The process that the job's engine depends on."""
    below = psutil.Process(driver.pid).children(recursive=True)
    return [p for p in below if p.name() == "cat"]


def test_a_full_disk_is_named_and_the_job_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    out = small_disk / "out"
    driver = start(tmp_path / "job", out)
    wait_for(lambda: len(batches(out)) > 1, driver)
    filling = small_disk / "filling"
    fill(filling)
    code, said = ended(driver)
    kept = {f.name: f.read_bytes() for f in batches(out)}
    assert code == 1
    assert said.splitlines()[-1].startswith(f"error: {out}")
    assert "No space left on device" in said
    assert "Traceback" not in said
    assert kept
    filling.unlink()
    assert ended(start(tmp_path / "job", out))[0] == 0
    assert read_published(out).summary["num_problems"] == NUM_PROBLEMS


@pytest.mark.parametrize("name", [".", "runs/out"])
def test_a_mount_that_goes_away_is_named_and_nothing_is_written_in_its_place(
    name: str, small_disk: Path, tmp_path: Path
) -> None:
    driver = start(tmp_path / "job", small_disk / name, delay_s=0.5)
    wait_for(lambda: batches(small_disk / name), driver)
    subprocess.run(["umount", "-l", str(small_disk)], check=True)
    code, said = ended(driver)
    try:
        assert code == 1
        assert "is on another file system than when this run began" in said.splitlines()[-1]
        assert "Traceback" not in said
        assert list(small_disk.iterdir()) == []
    finally:
        mount = ["mount", "-t", "tmpfs", "none", str(small_disk)]
        subprocess.run(mount, check=True)  # as the fixture expects


def test_a_hung_engine_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    driver = start(tmp_path / "job", out)
    wait_for(lambda: batches(out), driver)
    [core] = core_of(driver)
    core.send_signal(signal.SIGSTOP)
    assert ended(driver)[0] == 0
    assert not core.is_running()
    published = read_published(out)
    assert published.summary["num_problems"] == NUM_PROBLEMS
    assert published.num_failed == 0


def test_a_stopped_worker_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    driver = start(tmp_path / "job", out, delay_s=0.5, hang_timeout_s=8.0)
    wait_for(lambda: batches(out), driver)
    [core] = core_of(driver)
    worker = core.parent()
    assert worker is not None
    worker.send_signal(signal.SIGSTOP)
    assert ended(driver)[0] == 0
    assert not worker.is_running()
    assert '"silent worker ended"' in (out / "log.jsonl").read_text()
    published = read_published(out)
    assert published.summary["num_problems"] == NUM_PROBLEMS
    assert published.num_failed == 0


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_job_told_to_end_says_how_to_go_on(
    tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    out = tmp_path / "out"
    driver = start(tmp_path / "job", out)
    wait_for(lambda: batches(out), driver)
    below = psutil.Process(driver.pid).children(recursive=True)
    driver.send_signal(sent)
    left, said = ended(driver)
    assert left == code
    assert said.splitlines()[-1].startswith("stopped; what is done is kept")
    assert not psutil.wait_procs(below, timeout=20)[1]
    assert not (out / "lease.json").exists()


def test_storage_that_workers_do_not_see_is_named(tmp_path: Path) -> None:
    """The folder goes when the job has made it: for a worker, as if it had never been mounted."""
    out = tmp_path / "out"
    driver = start(tmp_path / "job", out, delay_s=1.0)
    folder = out / "stages" / "estimate" / "pass-0000"
    wait_for(folder.exists, driver)
    folder.rmdir()
    code, said = ended(driver)
    assert code == 2
    assert "a worker does not see" in said
    assert "every node mounts" in said
    assert "Traceback" not in said
