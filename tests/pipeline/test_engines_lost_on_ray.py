"""Stages on real Ray whose engines do not start, or do not start again."""

import asyncio
import os
import re
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from factory.job import ModelSection
from factory.job_stages import Stage
from factory.recipes import load_recipe
from factory.spending import spent
from factory.stage_folder import StageFolder
from factory.stages import EnginesLost, run_stage
from factory.stored import StoredRows, rows_in
from factory.watched_stage import run_watched
from factory.watching.stage_run import unwatched
from schemas.records import ProblemGroup, Status
from tests.factory.builders import manifest_of
from tests.pipeline.test_stages_on_ray import Mark, rows_of, silent_engine, store, stored
from workers.admission import Admission
from workers.engine import EngineDead
from workers.program import AnswerGrader, Program
from workers.scratch import Scratch
from workers.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.ray


@dataclass(frozen=True)
class LoseTheEngine:
    """A program over whose last group an engine dies, the first time it is met."""

    last: str
    met: Path

    async def __call__(
        self, group: ProblemGroup, engine: Admission, grader: AnswerGrader
    ) -> ProblemGroup:
        if group.problem_id == self.last and not self.met.exists():
            await asyncio.sleep(1.0)  # the others are stored meanwhile
            self.met.touch()
            raise EngineDead("CUDA error")
        return replace(group, status=Status.OK, reason=None)


@dataclass(frozen=True)
class OpenButOnce:
    """Opens an engine; the one after a death does not start, once."""

    met: Path
    refused: Path

    def __call__(self) -> ScriptedEngine:
        if self.met.exists() and not self.refused.exists():
            self.refused.touch()
            raise RuntimeError("CUDA out of memory")
        return silent_engine()


def stage_of(folder: StageFolder, program: Program) -> Stage:
    section = ModelSection(model="scripted", groups_in_flight=16)
    return Stage(name="label", folder=folder, program=program, section=section)


def test_a_stage_that_loses_its_engine_for_a_while_begins_again(
    ray_cluster: None, tmp_path: Path
) -> None:
    folder = StageFolder(path=tmp_path / "stage")
    met, refused = tmp_path / "met", tmp_path / "refused"
    stage = stage_of(folder, LoseTheEngine(last="p039", met=met))
    manifest = run_watched(
        stage,
        rows_in(store(tmp_path / "in", 40)),
        StoredRows(folder),
        manifest_of(load_recipe("math-shepherd")),
        unwatched,
        lambda section: OpenButOnce(met=met, refused=refused),
    )
    assert refused.exists()
    assert sorted(row["problem_id"] for row in rows_of(folder)) == [f"p{i:03d}" for i in range(40)]
    assert manifest.stages["label"]["num_ok"] == 40


def test_an_engine_that_never_starts_is_an_error_at_once(ray_cluster: None, tmp_path: Path) -> None:
    folder = StageFolder(path=tmp_path / "stage")
    (tmp_path / "met").touch()
    opener = OpenButOnce(met=tmp_path / "met", refused=tmp_path / "refused")
    message = r"did not start on node [\d.]+: .*CUDA out of memory"
    with pytest.raises(EnginesLost, match=message) as lost:
        run_watched(
            stage_of(folder, Mark()),
            rows_in(store(tmp_path / "in", 4)),
            StoredRows(folder),
            manifest_of(load_recipe("math-shepherd")),
            unwatched,
            lambda section: opener,
        )
    assert spent(folder)["num_ok"] == 0
    assert re.fullmatch("[0-9a-f]+", lost.value.slot or "")


@dataclass(frozen=True)
class DieThenFail:
    """Killed while it opens, with a folder of which it tells; the next one does not start."""

    folder_of: Path

    def __call__(self) -> ScriptedEngine:
        if self.folder_of.exists():
            raise RuntimeError("CUDA out of memory")
        self.folder_of.write_text(str(Scratch("engine").path))
        os.kill(os.getpid(), signal.SIGKILL)
        return silent_engine()


@pytest.mark.slow
def test_what_killed_workers_left_goes_too_when_their_stage_ends_by_an_error(
    ray_cluster: None, tmp_path: Path
) -> None:
    folder, opener = StageFolder(path=tmp_path / "stage"), DieThenFail(tmp_path / "left")
    with pytest.raises(EnginesLost):
        run_watched(
            stage_of(folder, Mark()),
            rows_in(store(tmp_path / "in", 4)),
            StoredRows(folder),
            manifest_of(load_recipe("math-shepherd")),
            unwatched,
            lambda section: opener,
        )
    left, deadline_s = Path(opener.folder_of.read_text()), time.monotonic() + 30
    while left.exists() and time.monotonic() < deadline_s:
        time.sleep(0.1)  # on a busy machine it goes a little later
    assert not left.exists()


@pytest.mark.slow
def test_a_stage_whose_engine_is_lost_before_the_first_row_begins_again(
    ray_cluster: None, tmp_path: Path
) -> None:
    folder = StageFolder(path=tmp_path / "stage")
    met, refused = tmp_path / "met", tmp_path / "refused"
    run_watched(
        stage_of(folder, LoseTheEngine(last="p000", met=met)),
        rows_in(store(tmp_path / "in", 1)),
        StoredRows(folder),
        manifest_of(load_recipe("math-shepherd")),
        unwatched,
        lambda section: OpenButOnce(met=met, refused=refused),
    )
    assert refused.exists()
    assert [row["status"] for row in rows_of(folder)] == ["ok"]


@dataclass(frozen=True)
class Kill:
    """A program over some of whose problems the engine dies."""

    poison: frozenset[str]

    async def __call__(
        self, group: ProblemGroup, engine: Admission, grader: AnswerGrader
    ) -> ProblemGroup:
        if group.problem_id in self.poison:
            raise EngineDead("CUDA error")
        return replace(group, status=Status.OK, reason=None)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_more_poison_than_a_worker_has_restarts_for_holds_no_problem_up(
    ray_cluster: None, tmp_path: Path
) -> None:
    """One in each of the batches that an engine has in flight, and in the one behind them."""
    folder = StageFolder(path=tmp_path / "stage")
    poison = frozenset(f"p{i:03d}" for i in range(0, 68, 4))
    stage = stage_of(folder, Kill(poison))
    stage = replace(stage, section=ModelSection(model="scripted", groups_in_flight=64))
    stored = StoredRows(folder)
    manifest = run_watched(
        stage,
        rows_in(store(tmp_path / "in", 72)),
        stored,
        manifest_of(load_recipe("math-shepherd")),
        unwatched,
        lambda section: silent_engine,
    )
    assert {i for i, row in stored.rows.items() if row.status is Status.FAILED} == poison
    assert manifest.stages["label"]["num_ok"] == 55


@dataclass(frozen=True)
class OpenAfterFailures:
    """Opens the first engine once others have failed so often."""

    folder: Path
    num_failures: int

    def __call__(self) -> ScriptedEngine:
        if self._is_new("first"):
            deadline_s = time.monotonic() + 100
            while not self._has_failed() and time.monotonic() < deadline_s:
                time.sleep(0.01)
        elif not self._has_failed():
            assert any(self._is_new(f"failure-{n}") for n in range(self.num_failures))
            raise RuntimeError("CUDA error: device unavailable")
        return silent_engine()

    def _has_failed(self) -> bool:
        return (self.folder / f"failure-{self.num_failures - 1}").exists()

    def _is_new(self, name: str) -> bool:
        try:
            (self.folder / name).mkdir()
        except FileExistsError:
            return False
        return True


def test_an_engine_that_fails_before_another_is_up_ends_nothing(
    ray_cluster: None, tmp_path: Path
) -> None:
    stage = StageFolder(path=tmp_path / "stage")
    opener = OpenAfterFailures(tmp_path, num_failures=2)
    run_stage(
        pending=rows_in(store(tmp_path / "in", 4)),
        folder=stage.open_pass(),
        program=Mark(),
        section=ModelSection(model="scripted", num_engines=2, num_cpus=0.1),
        tally=None,
        open_engine=opener,
    )
    assert {row.status for row in stored(stage).values()} == {Status.OK}
