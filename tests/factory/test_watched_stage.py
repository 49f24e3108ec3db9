"""A stage over problems that kill engines comes to its end, with those problems failed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from factory.job import ModelSection
from factory.job_stages import Stage
from factory.placement import GROUPS_PER_BLOCK, MAX_RESTARTS
from factory.stage_folder import StageFolder
from factory.stages import EnginesLost, items_to_read
from factory.stored import Row, StoredRows, rows_in
from factory.watched_stage import run_until_stored
from schemas.records import ProblemGroup, Status
from tests.factory.builders import group, store, unlabelled
from workers.suspects import DEATHS_TO_SUSPECT, ENGINES_TO_FAIL
from workers.tally import Tally, WorkerCounts
from workers.worker import ATTEMPTS

DEATHS_PER_POISON = DEATHS_TO_SUSPECT + ENGINES_TO_FAIL


@dataclass
class FakeRun:
    """`run_stage` with one worker: it dies over every poison, and for good after its restarts."""

    poison: Collection[str]
    was_asked: list[list[str]] = field(default_factory=list)
    was_last: list[set[str]] = field(default_factory=list)

    def __call__(
        self, *, pending: Mapping[str, Row], folder: Path, last: Collection[str], **others: Any
    ) -> None:
        self.was_asked.append(sorted(pending))
        self.was_last.append(set(last))
        deaths = 0
        ids = [i for item in items_to_read(pending, last) for i in item["problem_ids"]]
        for start in range(0, len(ids), GROUPS_PER_BLOCK):
            batch = ids[start : start + GROUPS_PER_BLOCK]
            deaths += DEATHS_PER_POISON * sum(i in self.poison for i in batch)
            if deaths > MAX_RESTARTS:
                raise EnginesLost("died again and again")
            store(folder / f"{batch[0]}.parquet", map(self._done, batch))

    def _done(self, problem_id: str) -> ProblemGroup:
        is_poison = problem_id in self.poison
        return unlabelled(problem_id, Status.FAILED) if is_poison else group(problem_id)


async def nothing(group: ProblemGroup, engine: Any, grader: Any) -> ProblemGroup:
    return group


def ids(numbers: range) -> set[str]:
    return {f"p{n:03d}" for n in numbers}


def run(folder: StageFolder, source: Mapping[str, Row], fake: FakeRun) -> dict[str, Row]:
    section = ModelSection(model="scripted")
    stage = Stage(name="label", folder=folder, program=nothing, section=section)
    stored = StoredRows(folder)
    left = {i: row for i, row in source.items() if i not in stored.rows or i in fake.poison}
    run_until_stored(stage, left, stored, None, None, fake)
    return stored.rows


def source_of(folder: Path, num_problems: int) -> dict[str, Row]:
    problems = [group(i) for i in sorted(ids(range(num_problems)))]
    return rows_in([store(folder / "in.parquet", problems)])


def test_problems_that_kill_more_engines_than_may_start_again_fail_and_hold_nobody_up(
    tmp_path: Path,
) -> None:
    folder = StageFolder(path=tmp_path / "stage")
    source, poison = source_of(tmp_path, 100), ids(range(0, 40, 2))
    fake = FakeRun(poison)
    rows = run(folder, source, fake)
    assert {i for i, row in rows.items() if row.status is Status.FAILED} == poison
    assert rows.keys() == source.keys()
    assert len(fake.was_asked) > 1
    for earlier, later in zip(fake.was_asked, fake.was_asked[1:], strict=False):
        assert set(later) < set(earlier), "what has failed is done for this run"


def test_a_later_run_takes_what_has_failed_behind_what_was_never_tried(tmp_path: Path) -> None:
    folder, poison = StageFolder(path=tmp_path / "stage"), ids(range(12))
    run(folder, source_of(tmp_path, 12), FakeRun(poison))
    fake = FakeRun(poison)
    rows = run(folder, source_of(tmp_path, 20), fake)
    assert rows.keys() == ids(range(20))
    assert fake.was_asked[0] == sorted(ids(range(20)))
    assert fake.was_last[0] == poison
    assert not set(fake.was_asked[1]) & ids(range(12, 20))


def test_a_file_is_read_in_two_parts_where_some_of_it_come_last(tmp_path: Path) -> None:
    source = source_of(tmp_path, 3)
    file = str(tmp_path / "in.parquet")
    assert items_to_read(source, {"p000"}) == [
        {"file": file, "problem_ids": ["p001", "p002"]},
        {"file": file, "problem_ids": ["p000"]},
    ]


class Handle:
    """Of a tally of two workers."""

    def __init__(self) -> None:
        self.well = self.num_workers = self
        self._tally = Tally()
        for slot in ("good", "bad"):
            self._tally.report(f"in {slot}", WorkerCounts(slot=slot))

    def remote(self, *asked: str) -> Any:
        return self._tally.well(*asked) if asked else self._tally.num_workers()


@pytest.mark.parametrize(
    ("lost", "left"),
    [
        ("bad", ["batch.gone", "batch.in bad"]),
        (None, ["batch.gone", "batch.in bad", "batch.in good", "other.in good"]),
    ],
)
def test_what_ran_on_good_engines_is_not_to_blame_for_the_end_of_a_bad_one(
    lost: str | None, left: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ran on the bad one is, also where it died just now."""
    monkeypatch.setattr("ray.get", lambda answer, timeout: answer)
    monkeypatch.setattr("factory.watched_stage.PAUSE_S", 0.0)
    folder, source = StageFolder(path=tmp_path / "stage"), source_of(tmp_path, 4)
    marks: list[list[str]] = []

    def run(*, folder: Path, pending: Mapping[str, Row], **others: Any) -> None:
        marks.append(sorted(path.name for path in folder.glob("attempts/*")))
        (folder / ATTEMPTS).mkdir(exist_ok=True)
        for name in ("batch.in good", "batch.gone", "batch.in bad", "other.in good"):
            (folder / ATTEMPTS / name).touch()
        if len(marks) == 1:
            raise EnginesLost("died again and again", slot=lost)
        store(folder / "all.parquet", map(group, pending))

    section = ModelSection(model="scripted")
    stage = Stage(name="label", folder=folder, program=nothing, section=section)
    run_until_stored(stage, source, StoredRows(folder), Handle(), None, run)
    assert marks == [[], left]
