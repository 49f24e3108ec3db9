"""Whole jobs on real Ray and a scripted engine: killed, stopped, in a bucket."""

import os
import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.files import place, sha256_of
from tests.pipeline.drivers import eventually, finished, manifest_in, started
from tests.pipeline.scripted_job import write_problems

pytestmark = pytest.mark.ray


def published(out: Path) -> dict[str, str]:
    """SHA-256 of the card and of every shard."""
    files = [f for f in (out / "dataset").rglob("*") if f.suffix in (".parquet", ".md")]
    return {f.relative_to(out).as_posix(): sha256_of(f.read_bytes()) for f in files}


def num_sealed(out: Path) -> int:
    return len(list((out / "stages" / "sealed").glob("*.json")))


def killed_at(process: "subprocess.Popen[str]", is_time: Callable[[], bool]) -> None:
    eventually(is_time, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_job_that_is_killed_while_it_seals_goes_on_to_the_same_files(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "p.jsonl", 16)
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    finished(started(straight, problems))
    killed_at(started(cut, problems, "delay_s=0.2"), lambda: num_sealed(cut) > 0)
    assert not (cut / "dataset" / "manifest.json").exists() or not manifest_in(cut).is_complete
    finished(started(cut, problems))
    assert published(cut) == published(straight)
    assert manifest_in(cut).is_complete


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_job_that_is_killed_five_times_publishes_the_same_files(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "p.jsonl", 48)
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    finished(started(straight, problems))
    draw = random.Random(0)
    for _ in range(5):
        process = started(cut, problems, "delay_s=0.3")
        try:
            process.wait(timeout=draw.uniform(2, 25))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    finished(started(cut, problems))
    assert published(cut) == published(straight)


def test_sigterm_ends_a_job_in_order_and_it_can_go_on(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "p.jsonl", 96)
    process = started(tmp_path / "out", problems, "delay_s=1.0")
    eventually(lambda: num_sealed(tmp_path / "out") > 0, process)
    process.terminate()
    process.communicate(timeout=120)
    assert process.returncode == 143
    assert not (tmp_path / "out" / "lease.json").exists()
    for shard in manifest_in(tmp_path / "out").shards:
        content = (tmp_path / "out" / "dataset" / shard.path).read_bytes()
        assert sha256_of(content) == shard.sha256


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_job_reads_from_and_keeps_everything_in_a_bucket(tmp_path: Path, bucket: str) -> None:
    problems = write_problems(tmp_path / "p.jsonl", 12)
    here, there = tmp_path / "here", place(f"{bucket}/there")
    place(f"{bucket}/in/p.jsonl").write_bytes(problems.read_bytes())
    finished(started(here, problems))
    for _ in range(2):
        finished(started(there, f"{bucket}/in/p.jsonl"))
    assert manifest_in(there).shards == manifest_in(here).shards
    assert manifest_in(there).problems == "p.jsonl"
