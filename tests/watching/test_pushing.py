"""A push is shown in the folder of the job whose dataset is pushed."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from factory.hub.state import PushState
from factory.report.push import Driver
from factory.watching.pushing import push_seen
from factory.watching.status import State
from factory.watching.status_file import read_status, write_status
from schemas.files import listed, place
from tests.watching.builders import job


def test_shards_that_arrive_and_errors_are_said_once(tmp_path: Path) -> None:
    write_status(tmp_path, job(state=State.DONE, num_shards_sealed=3))
    with push_seen(tmp_path) as events:
        for pushed, error in ((0, None), (2, None), (2, "503"), (2, "503"), (3, None)):
            events.read(
                PushState(
                    repo_id="org/x", pushed=pushed, pending=3 - pushed, head="h", last_error=error
                )
            )
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    said = [(line["event"], line.get("num_pushed", line.get("error"))) for line in lines]
    assert said == [("pushed", 0), ("pushed", 2), ("push in trouble", "503"), ("pushed", 3)]
    assert read_status(tmp_path).num_shards_pushed == 3
    assert read_status(tmp_path).state is State.DONE


@pytest.mark.parametrize("place_of_it", ["here", "in a bucket"])
def test_the_status_of_a_running_job_is_left_to_it(
    place_of_it: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    is_here = place_of_it == "here"
    folder = tmp_path if is_here else place(f"{request.getfixturevalue('bucket')}/run")
    running = job(state=State.RUNNING, updated=time.time())
    write_status(folder, running)
    with push_seen(folder) as events:
        events.read(PushState(repo_id="org/x", pushed=1, head="h"))
        write_status(folder, replace(running, num_shards_sealed=2))
    assert read_status(folder) == replace(running, num_shards_sealed=2)
    assert [f.name for f in listed(folder, "log*")] == (["log.jsonl"] if is_here else [])


def test_a_driver_that_falls_silent_and_comes_back_is_said_once_each(tmp_path: Path) -> None:
    said: list[str] = []
    clock = [2_000.0]
    driver = Driver(tmp_path, said.append, now=lambda: clock[0])
    driver.look()  # there is no status yet
    write_status(tmp_path, job(updated=2_000.0))
    for now in (2_000.0, 2_030.0, 2_300.0, 2_600.0):
        clock[0] = now
        driver.look()
    again = "run the same command again to go on; this push waits for it"
    assert said == [f"the job: last heard 5 min ago from node-3: {again}"]
    write_status(tmp_path, job(updated=2_600.0))
    for _ in range(2):
        driver.look()
    assert said[1:] == ["the job: running for 27 min on node-3: starting"]


def test_a_job_that_was_stopped_is_waited_for_and_said_so(tmp_path: Path) -> None:
    said: list[str] = []
    write_status(tmp_path, job(state=State.STOPPED, updated=2_000.0))
    Driver(tmp_path, said.append, now=lambda: 2_010.0).look()
    assert "stopped 10 s ago: run the same command again" in said[0]


def test_a_dataset_without_a_job_is_left_as_it_is(tmp_path: Path) -> None:
    with push_seen(tmp_path) as events:
        events.read(PushState(repo_id="org/x", pushed=1, head="h"))
    assert not [*tmp_path.iterdir()]
