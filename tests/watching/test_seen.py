"""What is seen of a job beside its stages, on this machine and in a bucket."""

import json
from pathlib import Path

import pytest

from factory.recipes import load_recipe
from factory.watching.events import event
from factory.watching.seen import job_seen
from factory.watching.stage_run import unwatched
from factory.watching.status import State
from factory.watching.status_file import read_status
from schemas.files import place, read_bytes
from tests.factory.builders import manifest_of

MANIFEST = manifest_of(load_recipe("math-shepherd"))


@pytest.fixture(params=["here", "in a bucket"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "here":
        return tmp_path / "run"
    return place(f"{request.getfixturevalue('bucket')}/run")


def test_shards_are_counted_over_runs_and_every_run_is_in_the_log(folder: Path) -> None:
    for before in (0, 2):
        with job_seen(folder, MANIFEST, unwatched):
            event("sealed before", num_sealed=before)
            assert read_status(folder).state is State.RUNNING
            for number in (1, 2):
                event("shard sealed", path=f"data/{number}", num_sealed=before + number)
            event("pushed", repo="org/x", num_pushed=before + 1)
        status = read_status(folder)
        assert (status.state, status.num_shards_sealed) == (State.DONE, before + 2)
        assert status.num_shards_pushed == before + 1
    lines = [json.loads(line) for line in read_bytes(folder / "log.jsonl").splitlines()]
    run = ["job started", "sealed before", "shard sealed", "shard sealed", "pushed", "job done"]
    assert [line["event"] for line in lines] == 2 * run


def test_a_store_that_cannot_be_written_ends_nothing(bucket: str) -> None:
    folder = place(f"{bucket}-that-is-not-there/run")
    with job_seen(folder, MANIFEST, unwatched):
        event("sealed before", num_sealed=1)
