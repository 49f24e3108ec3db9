"""How a push keeps to the Hub's limits and to what the Hub asks of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from factory.hub.state import PushState
from tests.hub.faults import Fault
from tests.hub.folders import hashes, seal_bytes
from tests.hub.protocol import Hub
from tests.hub.pusher import QUICK
from tests.hub.quick import COMMIT, REPO, Clock, assert_pushed_once, folder_of, push_quickly


@pytest.mark.parametrize("where", [COMMIT, "GET .*/revision/", "POST .*/preupload", "POST .*batch"])
@pytest.mark.parametrize(
    "headers", [{"Retry-After": "77"}, {"RateLimit": '"api";r=0;t=77', "Retry-After": "5"}]
)
def test_a_refusal_for_haste_waits_as_long_as_the_hub_asks(
    tmp_path: Path, hub: Hub, where: str, headers: dict[str, str]
) -> None:
    clock = Clock()
    states: list[PushState] = []
    hub.faults.script = [(where, Fault(status=429, headers=headers))]
    push_quickly(folder_of(tmp_path, 2), hub, wait=clock.wait, now=clock.now, watch=states.append)
    assert 77 < clock.waits[0] < 78
    assert states[0].next_try == 1_000_000.0 + clock.waits[0]
    assert "HTTP 429" in str(states[0].last_error)
    assert states[-1].is_finished


def test_commits_keep_to_the_hourly_limit(tmp_path: Path, hub: Hub) -> None:
    clock = Clock()
    times: list[float] = []

    def watch(state: PushState) -> None:
        times.extend([clock.time] * (state.num_commits - len(times)))

    rhythm = replace(QUICK, files_per_commit=1, commits_per_hour=3, poll_s=600.0)
    push_quickly(
        folder_of(tmp_path, 8), hub, rhythm=rhythm, wait=clock.wait, now=clock.now, watch=watch
    )
    assert len(times) == 8
    assert all(later - early >= 3600 for early, later in zip(times, times[3:], strict=False))


def test_shards_wait_for_company_while_the_job_runs(tmp_path: Path, hub: Hub) -> None:
    folder = folder_of(tmp_path, 1)
    clock = Clock()
    commits: list[tuple[float, int]] = []
    rhythm = replace(QUICK, seconds_between_commits=600.0, poll_s=50.0)

    def is_complete() -> bool:
        """The job seals a shard every 250 s until it has 9."""
        num_shards = min(1 + int(clock.time - 1_000_000) // 250, 9)
        if num_new := num_shards - len(hashes(folder)):
            seal_bytes(folder, num_new)
        return num_shards == 9

    def watch(state: PushState) -> None:
        if state.num_commits > len(commits):
            commits.append((clock.time - 1_000_000, state.pushed))

    push_quickly(
        folder, hub, rhythm=rhythm, wait=clock.wait, now=clock.now, watch=watch,
        is_complete=is_complete,
    )  # fmt: skip
    assert commits == [(0, 1), (600, 3), (1200, 5), (1800, 8), (2000, 9)]
    assert len(hub.requests) < 70
    assert_pushed_once(folder, hub.repos[REPO])


def test_the_hourly_limit_does_not_delay_the_last_look(tmp_path: Path, hub: Hub) -> None:
    clock = Clock()
    rhythm = replace(QUICK, files_per_commit=1, commits_per_hour=3)
    state = push_quickly(folder_of(tmp_path, 3), hub, rhythm=rhythm, wait=clock.wait, now=clock.now)
    assert (state.is_finished, sum(clock.waits)) == (True, 0)
