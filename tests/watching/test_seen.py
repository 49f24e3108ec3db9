"""What is seen of a job beside its stages, on this machine and in a bucket."""

import json
import time
from pathlib import Path

import pytest

from factory.ending import Ending
from factory.errors import FolderLost
from factory.recipes import load_recipe
from factory.watching.events import event
from factory.watching.seen import job_seen
from factory.watching.stage_run import StageRun, unwatched
from factory.watching.status import State
from factory.watching.status_file import STATUS_FILE, read_status
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
        with job_seen(folder, MANIFEST, unwatched, Ending()):
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


def test_a_run_that_lost_its_folder_leaves_the_next_ones_status_and_log(folder: Path) -> None:
    lost, written = Ending(), []
    has_folder = [True]

    def run() -> None:
        seen = job_seen(folder, MANIFEST, unwatched, lost, lambda: has_folder[0])
        with lost.watched(), seen:
            with job_seen(folder, MANIFEST, unwatched, Ending()):
                event("sealed before", num_sealed=7)
            has_folder[0] = False
            written.extend(read_bytes(folder / name) for name in (STATUS_FILE, "log.jsonl"))
            lost.fail(FolderLost("taken over"))

    with pytest.raises(FolderLost):
        run()
    status, log = (read_bytes(folder / name) for name in (STATUS_FILE, "log.jsonl"))
    assert [status, log] == written


def test_a_store_that_cannot_be_written_ends_nothing(bucket: str) -> None:
    folder = place(f"{bucket}-that-is-not-there/run")
    with job_seen(folder, MANIFEST, unwatched, Ending()):
        event("sealed before", num_sealed=1)


class LostTally:
    """As after the driver's node has lost it."""

    @property
    def by_worker(self) -> None:
        from ray.exceptions import RayActorError

        raise RayActorError


def test_an_error_of_a_thread_is_shown_as_what_ended_job_and_stage(tmp_path: Path) -> None:
    ending = Ending()
    stage = StageRun(
        name="label", num_groups=1, num_stored=0, tally=LostTally(), num_engines=1, num_gpus=0.0
    )

    def run() -> None:
        with (
            ending.watched(),
            job_seen(tmp_path, MANIFEST, unwatched, ending) as watch,
            watch(stage),
        ):
            ending.fail(OSError(28, "No space left on device"))
            time.sleep(5)

    with pytest.raises(OSError, match="No space left"):
        run()
    status, said = read_status(tmp_path), "OSError: [Errno 28] No space left on device"
    assert (status.state, status.error) == (State.FAILED, said)
    assert status.stages[0].state is State.FAILED
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["error"]) == ("job failed", said)


def test_an_error_of_a_thread_that_interrupted_nothing_is_shown_too(tmp_path: Path) -> None:
    ending = Ending()
    with job_seen(tmp_path, MANIFEST, unwatched, ending):
        ending.fail(OSError("taken over"))
    assert read_status(tmp_path).error == "OSError: taken over"
