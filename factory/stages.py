"""One stage as a Ray Data pipeline: read groups, run a program on engines, store groups.

Ray Data restarts workers and retries their batches; a worker stores a batch when it is done, whole
or not at all. What is stored is the only record: a later run opens a further pass for what is
missing, failed, or changed in the input. Readers take a problem as its last pass says.
"""

import errno
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from factory.engine_actors import actor_options, cluster_nodes, room_for
from factory.errors import InputError
from factory.job import EngineSection
from factory.nodes import check_nodes
from factory.placement import GROUPS_PER_BLOCK, task_options
from factory.stored import Row
from schemas.arrow import arrow_schema
from schemas.files import place, read_table
from schemas.records import ProblemGroup, Status
from workers.engine import Engine
from workers.grading import Grader
from workers.program import Program
from workers.vllm_engine import open_engine
from workers.worker import EngineWorker

NO_PROGRESS_S = 6 * 3600.0
"""Without a finished batch for so long the job ends. Ray Data's own half hour is too short: a few
problems of many long rollouts may take an engine longer, and so may waiting for nodes."""


TRIES_PER_ENGINE = 4
"""Starts in vain, for each engine but one, with none between them that comes up."""


class EnginesLost(InputError):
    """An engine did not start, or died more often than Ray replaces a worker."""

    def __init__(self, message: str, slot: str | None = None) -> None:
        super().__init__(message)
        self.slot = slot
        """Of the worker that cannot be replaced, as its counts name it; `None` if not known."""


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


ROWS_READ_TOGETHER = 64

OpenerOf = Callable[[EngineSection], Callable[[], Engine]]
"""How the engine of a section is opened, inside a worker."""


def run_stage(
    *,
    pending: Mapping[str, Row],
    folder: Path,
    program: Program,
    section: EngineSection,
    tally: Any,
    open_engine: Callable[[], Engine] | None = None,
    open_tool: Callable[[], Any] = Grader,
    last: Collection[str] = (),
) -> None:
    """Runs `program` over these groups, where they are, and stores them in this folder of a pass.
    Deaths over a group are remembered there too, so a run keeps to one pass.

    The problems in `last` are read behind all others. Needs a Ray that is initialised. Raises
    EnginesLost when an engine cannot be started, or replaced any more.
    """
    import ray

    if not pending:
        return
    placed = room_for(section)
    _set_up(ray.data.DataContext.get_current(), section.max_engines)
    check_nodes(section, placed, folder)
    groups = _read(pending, last, {"num_cpus": 0.1, **task_options(cluster_nodes())})
    blocks = groups.repartition(target_num_rows_per_block=GROUPS_PER_BLOCK)
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
        what = "did not start" if "creation task" in str(error) else "died again and again"
        raise EnginesLost(
            f"the engine for {section.model} {what}{_node_in(str(error))}: {_cause(str(error))}",
            slot=error.actor_id,
        ) from error
    except ray.exceptions.RayTaskError as error:
        if (told := _as_told(error.cause, folder)) is None:
            raise
        raise told from error
    except ray.data.exceptions.ExecutionTimeoutError as error:
        raise InputError(
            f"no worker finished a batch for {NO_PROGRESS_S / 3600:g} hours: one hangs, or engines "
            "wait for room in the cluster; what is stored is kept, run the same command again"
        ) from error


def _set_up(context: Any, num_engines: int) -> None:
    """A batch may take hours, and what a worker says of storage has to arrive as it was raised.

    Of several engines one may be on a broken GPU, where it fails before the others are up. A single
    one that does not start is an error at once.
    """
    context.execution_no_progress_timeout_s = NO_PROGRESS_S
    context.max_consecutive_actor_init_deaths = TRIES_PER_ENGINE * (num_engines - 1)
    context.raise_original_map_exception = True


def _as_told(error: BaseException, folder: Path) -> Exception | None:
    """What a worker met with storage, as if it had happened here; `None` for anything else."""
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.ENOENT:
        return InputError(
            f"a worker does not see {folder}: --out has to be on storage that every node mounts"
        )
    return OSError(error.errno, error.strerror, str(folder))  # Ray puts advice into `filename`


def pending_problems(source: Mapping[str, Row], stored: Mapping[str, Row]) -> dict[str, Row]:
    """Problems still to do, where they are: new, failed, or changed in the input."""
    return {
        problem_id: row
        for problem_id, row in source.items()
        if (known := stored.get(problem_id)) is None
        or known.status is Status.FAILED
        or known.input_id != row.input_id
    }


def _read(pending: Mapping[str, Row], last: Collection[str], options: Mapping[str, Any]) -> Any:
    """The rows of these problems, file by file, read when they are needed and where.

    Ray Data's own reader of Parquet starts actors to look at footers, which for a few files takes
    longer than reading them, and speaks to object stores through a client of its own.
    """
    import ray

    items = items_to_read(pending, last)
    files = ray.data.from_items(items, override_num_blocks=len(items))
    return files.map_batches(_rows_of, batch_size=1, batch_format="pyarrow", **options)


def items_to_read(pending: Mapping[str, Row], last: Collection[str]) -> list[dict[str, Any]]:
    """Each file with the problems to read of it, a file that has some of `last` twice."""
    parts: dict[tuple[bool, str], list[str]] = {}
    for problem_id, row in pending.items():
        parts.setdefault((problem_id in last, str(row.file)), []).append(problem_id)
    return [{"file": file, "problem_ids": ids} for (_, file), ids in sorted(parts.items())]


def _rows_of(files: pa.Table) -> Iterator[pa.Table]:
    """The problems asked for of each file."""
    for item in files.to_pylist():
        table = read_table(place(item["file"]), schema=arrow_schema(ProblemGroup))
        ids = set(item["problem_ids"])
        wanted = table.filter(pa.array([i in ids for i in table["problem_id"].to_pylist()]))
        for start in range(0, len(wanted), ROWS_READ_TOGETHER):
            yield wanted.slice(start, ROWS_READ_TOGETHER)


def _node_in(text: str) -> str:
    """Where the actor was, as Ray writes it before a traceback."""
    found = re.search(r"\bip[=:] ?([\w.:]*\w)", text)
    return f" on node {found[1]}" if found else ""


def _cause(text: str) -> str:
    """The exception at the end of a traceback, in one line."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    named = [i for i, line in enumerate(lines) if re.match(r"[\w.]+(Error|Exception)\b", line)]
    said = lines[named[-1] :] if named else lines[-1:]
    return " ".join(line for line in said if "For further information" not in line)[:600]
