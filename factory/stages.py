"""One stage as a Ray Data pipeline: read groups, run a program on engines, store groups.

Ray Data restarts workers and retries their batches; a worker stores a batch when it is done, whole
or not at all. What is stored is the only record: running a stage again opens a further pass for
what is missing, failed, or changed in the input. Readers take a problem as its last pass says.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from factory.engine_actors import actor_options, cluster_nodes, room_for
from factory.errors import InputError
from factory.job import EngineSection
from factory.nodes import check_nodes
from factory.placement import GROUPS_PER_BLOCK, task_options
from schemas.records import Status
from workers.engine import Engine
from workers.grading import Grader
from workers.program import Program
from workers.store import clear_unfinished
from workers.vllm_engine import open_engine
from workers.worker import EngineWorker


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProblem:
    """What a stage knows of a problem without reading it."""

    status: Status
    input_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFolder:
    """Where a stage keeps its rows: a folder of files for each pass."""

    path: Path

    def files(self) -> list[Path]:
        """Complete files, passes in order."""
        return [file for folder in self.passes() for file in sorted(folder.glob("*.parquet"))]

    def passes(self) -> list[Path]:
        """Folders of the passes begun so far, oldest first."""
        return sorted(folder for folder in self.path.glob("pass-*") if folder.is_dir())

    def stored(self) -> dict[str, StoredProblem]:
        """What became of each problem stored here, as its last pass says."""
        found: dict[str, StoredProblem] = {}
        for file in self.files():
            for row in pq.read_table(
                file, columns=["problem_id", "status", "input_id"]
            ).to_pylist():
                status = Status(row["status"])
                found[row["problem_id"]] = StoredProblem(status=status, input_id=row["input_id"])
        return found

    def open_pass(self) -> Path:
        """A new pass, later than all others; leftovers of killed writers go."""
        passes = self.passes()
        for folder in passes:
            clear_unfinished(folder)
        folder = self.path / f"pass-{len(passes):04d}"
        folder.mkdir(parents=True)
        return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """Opens the engine a model section describes; runs inside the worker."""

    section: EngineSection
    engine_args: dict[str, Any]
    """The section's, and what follows from where the engine is placed."""

    def __call__(self) -> Engine:
        return open_engine(
            self.section.model,
            device=self.section.device,
            engine_args=self.engine_args,
            hang_timeout_s=self.section.hang_timeout_s,
        )


def run_stage(
    *,
    source: list[Path],
    stage: StageFolder,
    program: Program,
    section: EngineSection,
    tally: Any,
    open_engine: Callable[[], Engine] | None = None,
    open_tool: Callable[[], Any] = Grader,
) -> None:
    """Runs `program` over the groups of `source` that this stage has not settled yet.

    A group that failed in an earlier pass is tried again. Needs a Ray that is initialised.
    Raises InputError when an engine cannot be started.
    """
    import ray

    pending = pending_problems(source, stage)
    if not pending:
        return
    placed = room_for(section)
    folder = stage.open_pass()
    check_nodes(section, placed, folder)
    files = [str(file) for file in source]
    light = {"num_cpus": 0.1, **task_options(cluster_nodes())}
    groups = ray.data.read_parquet(files, include_paths=True, **light)
    wanted = groups.map_batches(_Wanted(ray.put(pending)), batch_format="pyarrow", **light)
    blocks = wanted.repartition(target_num_rows_per_block=GROUPS_PER_BLOCK)
    opener = open_engine or Opener(section=section, engine_args=placed.engine_args)
    try:
        with actor_options(placed) as options:
            blocks.map_batches(
                EngineWorker,
                fn_constructor_args=(opener, open_tool, program, folder, tally),
                batch_size=GROUPS_PER_BLOCK,  # for engines with GPUs Ray Data wants a number
                batch_format="pyarrow",
                **options,
            ).materialize()
    except ray.exceptions.ActorDiedError as error:
        if "creation task" not in str(error):
            raise
        raise InputError(
            f"the engine for {section.model} did not start: {_cause(str(error))}"
        ) from error
    left = set(pending) - set(stage.stored())
    assert not left, f"{len(left)} problems were worked on and not stored, {min(left)} among them"


def pending_problems(source: list[Path], stage: StageFolder) -> dict[str, str]:
    """Problems still to do, with the file they are in: new, failed, or changed in the input.

    Where several files of the source hold a problem, the last one does.
    """
    stored = stage.stored()
    found: dict[str, str] = {}
    for file in source:
        for row in pq.read_table(file, columns=["problem_id", "input_id"]).to_pylist():
            known = stored.get(row["problem_id"])
            is_settled = known is not None and known.status is not Status.FAILED
            if is_settled and known is not None and known.input_id == row["input_id"]:
                found.pop(row["problem_id"], None)
            else:
                found[row["problem_id"]] = str(file)
    return found


def _cause(text: str) -> str:
    """The exception at the end of a traceback, in one line."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    named = [i for i, line in enumerate(lines) if re.match(r"[\w.]+(Error|Exception)\b", line)]
    said = lines[named[-1] :] if named else lines[-1:]
    return " ".join(line for line in said if "For further information" not in line)[:600]


@dataclass(frozen=True)
class _Wanted:
    """Keeps the rows of pending problems, each from the file it is wanted from."""

    pending: Any

    def __call__(self, batch: Any) -> Any:
        import ray

        pending = ray.get(self.pending)
        ids, paths = (batch[column].to_pylist() for column in ("problem_id", "path"))
        keep = [pending.get(i) == path for i, path in zip(ids, paths, strict=True)]
        return batch.filter(keep).drop_columns(["path"])
