"""Stages as Ray Data pipelines, on a scripted engine."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from factory.errors import InputError
from factory.job import ModelSection
from factory.stage_folder import StageFolder
from factory.stages import pending_problems, run_stage
from factory.stored import Row, StoredRows, rows_in
from schemas.arrow import arrow_schema, to_row
from schemas.generation import Prompt
from schemas.records import ProblemGroup, Status
from workers.admission import Admission
from workers.engine import EngineDead
from workers.program import AnswerGrader, Program
from workers.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.ray


@dataclass(frozen=True)
class Mark:
    """A program that notes its own process in the metadata, and fails where told."""

    failing: frozenset[str] = frozenset()
    sleep_s: float = 0.0

    async def __call__(
        self, group: ProblemGroup, engine: Admission, grader: AnswerGrader
    ) -> ProblemGroup:
        await asyncio.sleep(self.sleep_s)
        if group.problem_id in self.failing:
            raise RuntimeError(f"{group.problem_id} breaks")
        return replace(group, status=Status.OK, reason=None, metadata=str(os.getpid()))


def silent_engine() -> ScriptedEngine:
    return ScriptedEngine(_reply)


def _reply(prompt: Prompt, seed: int) -> str:
    return "1"


def store(folder: Path, num_groups: int, input_ids: dict[int, str] | None = None) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    groups = [
        ProblemGroup(
            problem_id=f"p{i:03d}",
            question="?",
            answer="1",
            input_id=(input_ids or {}).get(i, ""),
        )
        for i in range(num_groups)
    ]
    path = folder / "problems.parquet"
    table = pa.Table.from_pylist([to_row(g) for g in groups], schema=arrow_schema(ProblemGroup))
    pq.write_table(table, path)
    return [path]


def run(source: list[Path], stage: StageFolder, program: Program) -> None:
    run_stage(
        pending=pending(source, stage),
        folder=stage.open_pass(),
        program=program,
        section=ModelSection(model="scripted", groups_in_flight=16),
        tally=None,
        open_engine=silent_engine,
    )


def pending(source: list[Path], stage: StageFolder) -> dict[str, Row]:
    return pending_problems(rows_in(source), StoredRows(stage).rows)


def stored(stage: StageFolder) -> dict[str, Row]:
    return StoredRows(stage).rows


def rows_of(stage: StageFolder) -> list[dict[str, object]]:
    return [row for file in stage.files() for row in pq.read_table(file).to_pylist()]


def test_a_stage_stores_every_group_once_with_the_frozen_schema(
    ray_cluster: None, tmp_path: Path
) -> None:
    stage = StageFolder(path=tmp_path / "stage")
    source = store(tmp_path / "in", 50)
    run(source, stage, Mark())
    assert sorted(row["problem_id"] for row in rows_of(stage)) == [f"p{i:03d}" for i in range(50)]
    for file in stage.files():
        assert pq.read_schema(file).equals(arrow_schema(ProblemGroup), check_metadata=False)
    assert not pending(source, stage)


def test_a_failed_group_is_tried_again_in_a_pass_of_its_own(
    ray_cluster: None, tmp_path: Path
) -> None:
    stage = StageFolder(path=tmp_path / "stage")
    source = store(tmp_path / "in", 20)
    run(source, stage, Mark(failing=frozenset({"p003", "p011"})))
    assert stored(stage)["p003"].status is Status.FAILED
    [failed] = [row for row in rows_of(stage) if row["problem_id"] == "p003"]
    assert failed["reason"] == "RuntimeError: p003 breaks"
    first_pass = {f.name: f.read_bytes() for f in stage.files()}
    run(source, stage, Mark())
    assert {p.status for p in stored(stage).values()} == {Status.OK}
    assert len(stage.passes()) == 2
    assert first_pass.items() <= {f.name: f.read_bytes() for f in stage.files()}.items()
    assert len(rows_of(stage)) == 22


def test_the_next_stage_takes_a_problem_from_the_pass_that_settled_it(
    ray_cluster: None, tmp_path: Path
) -> None:
    first, second = StageFolder(path=tmp_path / "first"), StageFolder(path=tmp_path / "second")
    source = store(tmp_path / "in", 10)
    run(source, first, Mark(failing=frozenset({"p003"})))
    run(source, first, Mark())
    run(first.files(), second, Mark())
    assert sorted(row["problem_id"] for row in rows_of(second)) == [f"p{i:03d}" for i in range(10)]
    assert {p.status for p in stored(second).values()} == {Status.OK}


def test_a_finished_stage_is_not_run_again(ray_cluster: None, tmp_path: Path) -> None:
    stage = StageFolder(path=tmp_path / "stage")
    source = store(tmp_path / "in", 5)
    run(source, stage, Mark())
    before = {f: f.stat().st_mtime_ns for f in stage.files()}
    run(source, stage, Mark(failing=frozenset({"p001"})))
    assert {f: f.stat().st_mtime_ns for f in stage.files()} == before


@pytest.mark.slow
def test_a_driver_killed_in_the_middle_loses_and_doubles_nothing(tmp_path: Path) -> None:
    stage = StageFolder(path=tmp_path / "stage")
    source = store(tmp_path / "in", 120)
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from factory.cluster import open_cluster
        from factory.stage_folder import StageFolder
        from tests.pipeline.test_stages_on_ray import Mark, run
        with open_cluster():
            run([Path({str(source[0])!r})], StageFolder(path=Path({str(stage.path)!r})),
                Mark(sleep_s=0.5))
        """
    )
    command = [sys.executable, "-c", script]
    driver = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 250
    while len(stage.files()) < 3 and time.monotonic() < deadline_s:
        time.sleep(0.05)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    time.sleep(2)  # what was running ends or dies with the driver
    kept = {f: f.read_bytes() for f in stage.files()}
    assert 0 < len(stored(stage)) < 120
    (stage.passes()[0] / ".half.parquet.0123.tmp").write_bytes(b"PAR1 cut here")
    assert subprocess.run(command, timeout=240, stdout=subprocess.DEVNULL).returncode == 0
    assert sorted(r["problem_id"] for r in rows_of(stage)) == [f"p{i:03d}" for i in range(120)]
    assert all(f.read_bytes() == content for f, content in kept.items())


def test_a_corrected_input_is_worked_on_again(ray_cluster: None, tmp_path: Path) -> None:
    stage = StageFolder(path=tmp_path / "stage")
    run(store(tmp_path / "in", 6), stage, Mark())
    changed = store(tmp_path / "in", 6, input_ids={2: "corrected"})
    assert [*pending(changed, stage)] == ["p002"]
    run(changed, stage, Mark())
    assert stored(stage)["p002"].input_id == "corrected"
    assert not pending(changed, stage)


@dataclass(frozen=True)
class Kill:
    """A program over whose one problem the engine dies."""

    poison: str

    async def __call__(
        self, group: ProblemGroup, engine: Admission, grader: AnswerGrader
    ) -> ProblemGroup:
        if group.problem_id == self.poison:
            raise EngineDead("CUDA error")
        return group


def test_a_problem_that_kills_engines_fails_alone(ray_cluster: None, tmp_path: Path) -> None:
    stage = StageFolder(path=tmp_path / "stage")
    run(store(tmp_path / "in", 8), stage, Kill(poison="p005"))
    failed = [i for i, p in stored(stage).items() if p.status is Status.FAILED]
    assert failed == ["p005"]
    [reason] = [row["reason"] for row in rows_of(stage) if row["problem_id"] == "p005"]
    assert str(reason).startswith("EngineDead: the engine died 2 times")


def test_engines_that_do_not_fit_the_cluster_are_refused(ray_cluster: None, tmp_path: Path) -> None:
    section = ModelSection(model="scripted", num_cpus=500)
    with pytest.raises(InputError, match=r"needs 500 CPUs on one node, the largest has"):
        run_stage(
            pending=rows_in(store(tmp_path / "in", 1)),
            folder=StageFolder(path=tmp_path / "stage").open_pass(),
            program=Mark(),
            section=section,
            tally=None,
            open_engine=silent_engine,
        )
