"""Whole jobs on real Ray and a scripted engine: killed, stopped, in a bucket."""

import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.watching.status import State
from factory.watching.status_file import read_status
from schemas.files import is_there, listed, place, read_bytes, sha256_of
from tests.object_store import ObjectStore
from tests.pipeline.drivers import (
    ended,
    eventually,
    finished,
    killed,
    labelling,
    manifest_in,
    started,
)
from tests.pipeline.scripted_job import write_job

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


def published(out: Path) -> dict[str, str]:
    """SHA-256 of the card and of every shard."""
    files = [f for f in (out / "dataset").rglob("*") if f.suffix in (".parquet", ".md")]
    return {f.relative_to(out).as_posix(): sha256_of(f.read_bytes()) for f in files}


def num_sealed(out: Path) -> int:
    return len(listed(out / "stages" / "sealed", "*.json"))


def has_dataset(out: Path) -> bool:
    return is_there(out / "dataset" / "manifest.json")


@pytest.mark.slow
def test_a_job_that_is_killed_while_it_seals_goes_on_to_the_same_files(tmp_path: Path) -> None:
    job = write_job(tmp_path, 16)
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    undisturbed = labelling(job, straight)
    driver = labelling(job, cut, delay_s=0.2)
    eventually(lambda: num_sealed(cut) > 0, driver)
    killed(driver)
    finished(undisturbed)
    assert not (cut / "dataset" / "manifest.json").exists() or not manifest_in(cut).is_complete
    finished(labelling(job, cut))
    assert published(cut) == published(straight)
    assert manifest_in(cut).is_complete
    status = read_status(cut)
    assert (status.state, status.num_shards_sealed) == (State.DONE, len(manifest_in(cut).shards))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(3))
def test_a_job_that_is_killed_five_times_publishes_the_same_files(
    tmp_path: Path, seed: int
) -> None:
    job = write_job(tmp_path, 48)
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    finished(labelling(job, straight))
    draw, num_killed = random.Random(seed), 0
    for _ in range(5):
        driver = labelling(job, cut, delay_s=0.3)
        try:
            driver.wait(timeout=draw.uniform(2, 25))
        except subprocess.TimeoutExpired:
            num_killed += 1
            killed(driver)
    assert num_killed > 0
    finished(labelling(job, cut))
    assert published(cut) == published(straight)


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_job_that_is_told_to_end_says_how_to_go_on_and_does(
    tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    job, out = write_job(tmp_path, 48), tmp_path / "out"
    driver = labelling(job, out, delay_s=1.0)
    eventually(lambda: has_dataset(out), driver)
    driver.send_signal(sent)
    left, said = ended(driver)
    assert left == code, said[-2_000:]
    assert said.splitlines()[-1].endswith("run the same command again to go on")
    assert "Traceback" not in said
    assert not (out / "lease.json").exists()
    assert read_status(out).state is State.STOPPED
    before = manifest_in(out)
    assert not before.is_complete
    for shard in before.shards:
        assert sha256_of((out / "dataset" / shard.path).read_bytes()) == shard.sha256
    finished(labelling(job, out))
    after = manifest_in(out)
    assert after.is_complete
    assert (after.summary["num_problems"], after.summary["failed"]) == (48, {})
    assert set(before.shards) <= set(after.shards)


@pytest.mark.slow
def test_a_job_reads_from_and_keeps_everything_in_a_bucket(tmp_path: Path, bucket: str) -> None:
    from datasets import load_dataset

    job = write_job(tmp_path, 12)
    here, there = tmp_path / "here", place(f"{bucket}/there")
    place(f"{bucket}/in/p.jsonl").write_bytes((tmp_path / "p.jsonl").read_bytes())
    (tmp_path / "far").mkdir()
    far = write_job(tmp_path / "far", 12, problems=f"{bucket}/in/p.jsonl")
    finished(labelling(job, here))
    driver = labelling(far, there, delay_s=0.5)
    eventually(lambda: has_dataset(there), driver)
    killed(driver)
    assert not manifest_in(there).is_complete
    finished(labelling(far, there))
    assert manifest_in(there).shards == manifest_in(here).shards
    assert manifest_in(there).problems == "p.jsonl"
    assert not listed(there, "lease.json")
    status = read_status(there)
    assert (status.state, status.num_shards_sealed) == (State.DONE, 3)
    assert "3 shards" in finished(started("watch", there, "--once"))
    assert b'"job done"' in read_bytes(there / "log.jsonl")
    assert "starting engines" not in finished(labelling(far, there))
    files = f"{bucket}/there/dataset/data/*.parquet"  # `datasets` takes no URL for a folder
    rows = load_dataset("parquet", data_files=files, split="train", streaming=True)
    assert len(list(rows)) == sum(shard.num_rows for shard in manifest_in(there).shards)


@pytest.fixture
def own_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    store = ObjectStore()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
    yield store
    store.stop()


@pytest.mark.slow
def test_a_lost_object_store_is_named_and_the_job_goes_on_when_it_is_back(
    tmp_path: Path, own_store: ObjectStore
) -> None:
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("lost-and-found")
    job, out = write_job(tmp_path, 32), place("s3://lost-and-found/run")
    driver = labelling(job, out, delay_s=1.0)
    eventually(lambda: has_dataset(out), driver)
    own_store.leave()
    code, said = ended(driver, 600)
    own_store.come_back()
    assert code == 1, said[-3_000:]
    assert said.splitlines()[-1].startswith("error: s3://lost-and-found/run")
    assert "Traceback" not in said
    kept = manifest_in(out).shards
    finished(labelling(job, out))
    assert manifest_in(out).is_complete
    assert set(kept) <= set(manifest_in(out).shards)
