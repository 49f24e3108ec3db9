"""A job's checked problems, set aside until all of them are known to be good."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa

from factory.core.recipe import Recipe
from factory.errors import InputError
from factory.job import Job
from factory.problem_checks import checked_problems
from schemas.arrow import arrow_schema, to_row
from schemas.files import read_table, write_table
from schemas.records import ProblemGroup
from workers.scratch import scratch

ROWS_TOGETHER = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Problems on this machine's disk, in input order."""

    files: tuple[Path, ...]
    num_problems: int
    has_solutions: bool

    def tables(self) -> Iterator[pa.Table]:
        """The problems' rows, some at a time."""
        for file in self.files:
            yield read_table(file, schema=arrow_schema(ProblemGroup))


@contextmanager
def checked_intake(job: Job, recipe: Recipe) -> Iterator[Intake]:
    """All problems of a job. Raises InputError for the first bad one: nothing is written then
    where the job would go, so a refused job leaves no trace."""
    with scratch("problems") as temporary:
        intake = _set_aside(checked_problems(job, recipe), temporary, job)
        if not intake.has_solutions and not recipe.has_given_labels and job.generator is None:
            raise InputError("the problems come without solutions: add 'generator: {model: ...}'")
        yield intake


def _set_aside(groups: Iterable[ProblemGroup], folder: Path, job: Job) -> Intake:
    files: list[Path] = []
    num_given = num_problems = 0
    rest = iter(groups)
    while some := list(islice(rest, ROWS_TOGETHER)):
        num_problems += len(some)
        num_given += sum(bool(group.solutions) for group in some)
        files.append(folder / f"{len(files):06d}.parquet")
        rows = [to_row(group) for group in some]
        write_table(files[-1], pa.Table.from_pylist(rows, schema=arrow_schema(ProblemGroup)))
    if num_given not in (0, num_problems):
        raise InputError(
            f"{job.problems.path}: {num_given} of {num_problems} problems come with solutions: "
            "give them for all or for none"
        )
    return Intake(files=tuple(files), num_problems=num_problems, has_solutions=num_given > 0)
