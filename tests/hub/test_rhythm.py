"""When shards go, how many at once, and how long failures wait."""

import random

import pytest

from factory.hub.rhythm import Rhythm
from schemas.manifest import ShardEntry

RHYTHM = Rhythm(
    files_per_commit=3,
    bytes_per_commit=100,
    seconds_between_commits=600.0,
    commits_per_hour=2,
)


def shards(*sizes: int) -> list[ShardEntry]:
    return [
        ShardEntry(path=f"data/{number}.parquet", sha256="0", num_bytes=size, num_rows=1)
        for number, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("sizes", "num_taken"),
    [((), 0), ((1,), 1), ((1, 1, 1, 1), 3), ((60, 60), 1), ((50, 50, 1), 2), ((500, 1), 1)],
)
def test_a_commit_takes_the_first_shards_up_to_its_limits(
    sizes: tuple[int, ...], num_taken: int
) -> None:
    assert len(RHYTHM.batch(shards(*sizes))) == num_taken


@pytest.mark.parametrize(
    ("sizes", "commits", "is_last", "delay"),
    [
        ((1,), [], False, 0),  # the first shard goes at once
        ((1,), [900], False, 500),
        ((1,), [200], False, 0),
        ((1, 1, 1), [900], False, 0),  # a commit is full
        ((99, 1), [900], False, 0),
        ((1,), [900], True, 0),  # nothing more will come
        ((), [900], True, 0),
        ((1, 1, 1), [700, 900], False, 3300),
        ((1,), [700, 900], True, 3300),
        ((1,), [0, 100, 900], True, 2700),
    ],
)
def test_shards_wait_for_company_and_for_the_hourly_limit(
    sizes: tuple[int, ...], commits: list[float], is_last: bool, delay: float
) -> None:
    assert RHYTHM.commit_delay(shards(*sizes), commits, 1000.0, is_last=is_last) == delay


def test_waits_after_failures_double_within_bounds_and_differ() -> None:
    draw = random.Random(0)
    waits = [RHYTHM.backoff(n, None, draw) for n in (1, 2, 3, 20, 10_000)]
    for wait, most in zip(waits, (2, 4, 8, 300, 300), strict=True):
        assert most / 2 <= wait <= most
    assert waits[-1] != waits[-2]


@pytest.mark.parametrize("asked", [0.0, 1.0, 3600.0])
def test_a_wait_is_never_shorter_than_the_hub_asks(asked: float) -> None:
    draw = random.Random(0)
    assert all(asked <= RHYTHM.backoff(n, asked, draw) <= asked + 2 for n in range(1, 40))


@pytest.mark.parametrize("wrong", [0, 91])
def test_a_commit_of_more_files_than_the_hub_advises_is_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"{wrong} shards per commit: it has to be 1 to 90"):
        Rhythm(files_per_commit=wrong)


def test_a_large_upload_may_take_its_time_on_a_slow_line() -> None:
    assert Rhythm().longest_silence_s(0) == 900
    assert Rhythm().longest_silence_s(2 << 30) == 900 + 8192
