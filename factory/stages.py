"""One stage as a Ray Data pipeline: read groups, run a program on engines, write groups.

Ray Data restarts workers, retries their batches and commits file by file, with a checkpoint on
`problem_id`: running a stage again does only what is missing. Rows that failed are stored too and
tried again in a further pass; readers take a problem as its last pass says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from factory.errors import InputError
from factory.job import ModelSection
from schemas.records import Status
from workers.engine import Engine
from workers.grading import Grader
from workers.program import Program
from workers.vllm_engine import open_engine
from workers.worker import EngineWorker

DONE = "done"
GROUPS_PER_BLOCK = 4
"""Rows that share a task and a file: few, so that little is lost and the engine never starves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFolder:
    """Where a stage keeps its rows: one folder of files and one checkpoint per pass."""

    path: Path

    def files(self) -> list[Path]:
        """Committed files, passes in order."""
        return [file for folder in self.passes() for file in sorted(folder.glob("*.parquet"))]

    def passes(self) -> list[Path]:
        """Folders of the passes begun so far, oldest first."""
        return sorted(folder for folder in self.path.glob("pass-*") if folder.is_dir())

    def statuses(self) -> dict[str, Status]:
        """What became of each problem stored here."""
        found: dict[str, Status] = {}
        for file in self.files():
            table = pq.read_table(file, columns=["problem_id", "status"])
            ids, statuses = (table.column(c).to_pylist() for c in ("problem_id", "status"))
            found.update(zip(ids, map(Status, statuses), strict=True))
        return found

    def open_pass(self) -> Path:
        """The pass to work on: the last one if it was interrupted, else a new one."""
        passes = self.passes()
        if passes and not (passes[-1] / DONE).exists():
            return passes[-1]
        folder = self.path / f"pass-{len(passes):04d}"
        folder.mkdir(parents=True)
        return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """Opens the engine a model section describes; runs inside the worker."""

    section: ModelSection

    def __call__(self) -> Engine:
        section = self.section
        return open_engine(section.model, device=section.device, engine_args=section.engine_args)


def run_stage(
    *,
    source: list[Path],
    stage: StageFolder,
    program: Program,
    section: ModelSection,
    tally: Any,
    open_engine: Callable[[], Engine] | None = None,
) -> None:
    """Runs `program` over the groups of `source` that this stage has not settled yet.

    A group that failed in an earlier pass is tried again. Needs a Ray that is initialised.
    Raises InputError when an engine cannot be started.
    """
    import ray
    from ray.data import DataContext
    from ray.data.checkpoint import CheckpointConfig

    pending = pending_problems(source, stage)
    if not pending:
        return
    folder = stage.open_pass()
    context = DataContext.get_current()
    context.checkpoint_config = CheckpointConfig(
        id_column="problem_id",
        checkpoint_path=str(folder.with_name(folder.name.replace("pass", "checkpoint"))),
        delete_checkpoint_on_success=False,
    )
    files = [str(file) for file in source]
    groups = ray.data.read_parquet(files, include_paths=True, num_cpus=0.1)
    wanted = groups.map_batches(_Wanted(ray.put(pending)), batch_format="pyarrow", num_cpus=0.1)
    worked = wanted.repartition(target_num_rows_per_block=GROUPS_PER_BLOCK).map_batches(
        EngineWorker,
        fn_constructor_args=(open_engine or Opener(section=section), Grader, program, tally),
        batch_size=None,
        batch_format="pyarrow",
        **_placement(section),
    )
    try:
        worked.write_parquet(str(folder), ray_remote_args={"num_cpus": 0.1})
    except ray.exceptions.ActorDiedError as error:
        if "creation task" not in str(error):
            raise
        raise InputError(
            f"the engine for {section.model} did not start: {_last_line(str(error))}"
        ) from error
    (folder / DONE).touch()


def pending_problems(source: list[Path], stage: StageFolder) -> dict[str, str]:
    """Problems that this stage has not stored, or stored as failed, with the file they are in.

    Where several files of the source hold a problem, the last one does.
    """
    settled = {i for i, status in stage.statuses().items() if status is not Status.FAILED}
    found: dict[str, str] = {}
    for file in source:
        ids = pq.read_table(file, columns=["problem_id"])["problem_id"].to_pylist()
        found.update(dict.fromkeys(ids, str(file)))
    return {problem_id: file for problem_id, file in found.items() if problem_id not in settled}


def num_gpus(section: ModelSection) -> float:
    """GPUs to reserve per engine: as said, or as many as it runs in parallel on."""
    if section.num_gpus is not None:
        return section.num_gpus
    if section.device == "cpu" or not _has_gpus():
        return 0
    parallel = section.engine_args.get("tensor_parallel_size", 1)
    return float(parallel * section.engine_args.get("pipeline_parallel_size", 1))


def _has_gpus() -> bool:
    import ray

    return ray.cluster_resources().get("GPU", 0) > 0


def _placement(section: ModelSection) -> dict[str, Any]:
    """Workers, what each reserves, and how many blocks each has at a time."""
    from ray.data import ActorPoolStrategy

    blocks_in_flight = max(1, section.groups_in_flight // GROUPS_PER_BLOCK)
    return {
        "compute": ActorPoolStrategy(
            size=section.num_engines,
            max_tasks_in_flight_per_actor=2 * blocks_in_flight,
            max_concurrent_calls_per_actor=blocks_in_flight,
        ),
        "num_cpus": section.num_cpus,
        "num_gpus": num_gpus(section),
    }


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1].strip()


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
