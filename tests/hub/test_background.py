"""A push beside a job neither blocks it nor fails it."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from factory.errors import InputError
from factory.hub import BackgroundPush, PushState
from factory.report.push import unfinished_line
from tests.hub.faults import Fault
from tests.hub.folders import empty_folder, hashes, seal_bytes
from tests.hub.protocol import TOKEN, Hub
from tests.hub.pusher import QUICK
from tests.hub.repos import File, Repo

REPO = "org/labels"
ROOT = Path(__file__).parents[2]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_job_pushes_while_it_runs_and_finishes_at_its_end(tmp_path: Path, hub: Hub) -> None:
    folder = empty_folder(tmp_path / "dataset")
    with BackgroundPush(folder, REPO, token=TOKEN, endpoint=hub.url, rhythm=QUICK) as pusher:
        for num_shards in (1, 3):
            seal_bytes(folder, num_shards)
            eventually(lambda: pusher.state.pushed == len(hashes(folder)))
        assert not pusher.state.is_finished
        pusher.complete()
        assert pusher.join(20).is_finished
    assert {p for p in hub.repos[REPO].files if p.startswith("data/")} == hashes(folder).keys()


def test_an_unreachable_hub_costs_a_job_nothing(tmp_path: Path) -> None:
    folder = empty_folder(tmp_path / "dataset")
    seal_bytes(folder, 1)
    start = time.monotonic()
    with BackgroundPush(folder, REPO, token=TOKEN, endpoint="http://127.0.0.1:9") as pusher:
        eventually(lambda: pusher.state.last_error is not None)
        assert pusher.state.next_try is not None
        pusher.complete()
        assert not pusher.join(0.1).is_finished
    assert time.monotonic() - start < 10


def test_a_wait_that_the_hub_asked_for_does_not_hold_the_job(tmp_path: Path, hub: Hub) -> None:
    folder = empty_folder(tmp_path / "dataset")
    hub.faults.script = [("GET", Fault(status=429, headers={"Retry-After": "3600"}))]
    with BackgroundPush(folder, REPO, token=TOKEN, endpoint=hub.url, rhythm=QUICK) as pusher:
        eventually(lambda: pusher.state.last_error is not None)
    pusher.join(5)
    assert hub.requests == [f"GET /api/datasets/{REPO}/revision/main"]


def test_a_push_that_cannot_go_on_says_so_and_leaves_the_job_alone(
    tmp_path: Path, hub: Hub
) -> None:
    folder = empty_folder(tmp_path / "dataset")
    seal_bytes(folder, 1)
    hub.repos[REPO] = Repo()
    hub.repos[REPO].commit("main", {"data/train-00000.parquet": File(b"theirs", True)}, "theirs")
    with BackgroundPush(folder, REPO, token=TOKEN, endpoint=hub.url, rhythm=QUICK) as pusher:
        state = pusher.join(20)
    assert state.is_stopped
    assert "has another data/train-00000.parquet" in str(state.last_error)


def test_waiting_at_the_end_is_said_once_for_each_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory.hub.background.MOMENT_S", 0.05)
    folder = empty_folder(tmp_path / "dataset")
    seal_bytes(folder, 2)
    rhythm = replace(QUICK, patience_s=2.0)
    states: list[PushState] = []
    with BackgroundPush(
        folder, REPO, token=TOKEN, endpoint="http://127.0.0.1:9", rhythm=rhythm
    ) as pusher:
        eventually(lambda: pusher.state.last_error is not None)
        assert not pusher.finish(states.append).is_finished
    assert "ConnectError" in str(states[-1].last_error)
    assert len({(state.pushed, state.last_error) for state in states}) == len(states)


@dataclass(slots=True)
class SlowCommit:
    """Refuses the first requests for a commit, and holds the next one until told."""

    num_refused: int
    is_held: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def next(self, request: str) -> Fault | None:
        if not re.search("POST .*/commit", request) or self.is_held.is_set():
            return None
        if self.num_refused:
            self.num_refused -= 1
            return Fault(status=500)
        self.is_held.set()
        assert self.release.wait(60)
        return None


@pytest.mark.parametrize("num_refused", [0, 1])
def test_an_upload_is_waited_for_longer_than_a_hub_that_refuses(
    tmp_path: Path, hub: Hub, num_refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory.hub.background.MOMENT_S", 0.05)
    folder = empty_folder(tmp_path / "dataset")
    seal_bytes(folder, 1)
    commit = SlowCommit(num_refused)
    hub.faults = commit  # type: ignore[assignment]
    rhythm = replace(QUICK, patience_s=0.2)
    with BackgroundPush(folder, REPO, token=TOKEN, endpoint=hub.url, rhythm=rhythm) as pusher:
        assert commit.is_held.wait(20)
        threading.Timer(1.0, commit.release.set).start()
        assert pusher.finish().is_finished


def test_an_upload_that_never_ends_does_not_hold_the_job(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory.hub.background.MOMENT_S", 0.05)
    folder = empty_folder(tmp_path / "dataset")
    seal_bytes(folder, 1)
    commit = SlowCommit(0)
    hub.faults = commit  # type: ignore[assignment]
    rhythm = replace(QUICK, silence_s=0.2, least_bytes_per_s=10_000)
    states: list[PushState] = []
    with BackgroundPush(
        folder, REPO, token=TOKEN, endpoint=hub.url, rhythm=rhythm, watch=states.append
    ) as pusher:
        assert commit.is_held.wait(20)
        state = pusher.finish()
    assert (state.is_finished, state.is_stopped) == (False, True)
    assert states[-1] == state
    assert unfinished_line(state, "runs/math") == (
        "the push was silent for 0 min: 0 of 1 shards are in org/labels; "
        "prm-factory push runs/math org/labels goes on"
    )
    commit.release.set()
    pusher.join(20)


STUCK = """
import socket, sys, threading
from dataclasses import replace
from pathlib import Path
from factory.hub import BackgroundPush
from tests.hub.folders import empty_folder, seal_bytes
from tests.hub.protocol import TOKEN
from tests.hub.pusher import QUICK
from tests.hub.server import HubServer
hole, was_reached = socket.create_server(("127.0.0.1", 0)), threading.Event()
held = []
def accept():
    while True:
        held.append(hole.accept())
        was_reached.set()
threading.Thread(target=accept, daemon=True).start()
folder = empty_folder(Path(sys.argv[1]))
seal_bytes(folder, 1)
with HubServer() as server:
    server.hub.xet_url = f"http://127.0.0.1:{hole.getsockname()[1]}"
    rhythm = replace(QUICK, silence_s=0.2)
    with BackgroundPush(
        folder, "org/labels", token=TOKEN, endpoint=server.url, rhythm=rhythm
    ) as pusher:
        assert was_reached.wait(60)
        print(pusher.finish().last_error)
"""


def test_an_upload_by_xet_that_stands_still_holds_no_process(
    tmp_path: Path, client_env: dict[str, str]
) -> None:
    """A server that takes connections and says nothing: Xet has no timeout of its own."""
    env = {**client_env, "HF_HUB_DISABLE_XET": "0"}
    command = [sys.executable, "-c", STUCK, str(tmp_path / "dataset")]
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "the push was silent for 0 min\n"


def test_a_push_that_is_done_at_once_says_nothing(tmp_path: Path, hub: Hub) -> None:
    folder = empty_folder(tmp_path / "dataset")
    seal_bytes(folder, 1)
    states: list[PushState] = []
    with BackgroundPush(folder, REPO, token=TOKEN, endpoint=hub.url, rhythm=QUICK) as pusher:
        eventually(lambda: pusher.state.pushed == 1)
        assert pusher.finish(states.append).is_finished
    assert states == []


def test_a_bug_in_the_pusher_is_told_and_not_raised(tmp_path: Path, hub: Hub) -> None:
    folder = empty_folder(tmp_path / "dataset")

    def broken() -> float:
        raise KeyError("a bug")

    with BackgroundPush(folder, REPO, token=TOKEN, endpoint=hub.url, now=broken) as pusher:
        state = pusher.join(20)
    assert state.is_stopped
    assert str(state.last_error).startswith("bug: ")


def test_a_job_without_a_token_or_a_name_is_told_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no Hub token"):
        BackgroundPush(tmp_path, REPO)
    with pytest.raises(InputError, match="write it as org/name"):
        BackgroundPush(tmp_path, "labels", token=TOKEN)
