"""A labelling job from problems to published dataset: sample, estimate, publish."""

import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from factory.cluster import open_cluster
from factory.core.prompts import SolvePrompt
from factory.core.recipe import Recipe
from factory.errors import InputError
from factory.identity import check_folder, job_manifest
from factory.job import Job, ModelSection
from factory.models import check_model
from factory.problem_checks import checked_problems
from factory.programs.estimate import Estimate
from factory.programs.in_turn import InTurn
from factory.programs.sample import Sample
from factory.publish import is_on_policy, publish
from factory.recipes import load_recipe
from factory.stages import StageFolder, pending_problems, run_stage
from schemas.arrow import arrow_schema, to_row
from schemas.manifest import Manifest, write_atomically, write_manifest
from schemas.records import ProblemGroup
from workers.program import Program
from workers.tally import Tally, engine_summary

ROWS_PER_PROBLEMS_FILE = 5_000
JOB_FILE = "job.json"
"""The job as it was run, for audits; it stays in the job's folder and is never published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """What a watcher of a running stage needs."""

    name: str
    num_groups: int
    """Groups to do in this run; those stored by earlier runs are not among them."""
    num_stored: int
    tally: Any
    """Handle of the stage's `Tally` actor."""


Watch = Callable[[StageRun], AbstractContextManager[None]]


def unwatched(run: StageRun) -> AbstractContextManager[None]:
    """A `Watch` that looks away."""
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFolder:
    """The folder a job works in."""

    path: Path

    @property
    def problems(self) -> Path:
        return self.path / "stages" / "problems"

    @property
    def sample(self) -> StageFolder:
        return StageFolder(path=self.path / "stages" / "sample")

    @property
    def estimate(self) -> StageFolder:
        """The evidence."""
        return StageFolder(path=self.path / "stages" / "estimate")

    @property
    def dataset(self) -> Path:
        return self.path / "dataset"


def label(job: Job, out: Path, watch: Watch) -> Manifest:
    """Runs a job, or goes on with one that was interrupted, and publishes its dataset.

    Everything that can be wrong with the input is found before anything is written or started.
    Raises InputError for it.
    """
    recipe = load_recipe_or_refuse(job.recipe)
    for role in ("generator", "completer"):
        if (section := getattr(job, role)) is not None:
            check_model(role, section)
    manifest = job_manifest(job, recipe)
    out = out.resolve()
    folder = JobFolder(path=out)
    found = check_folder(out, manifest)
    has_solutions = _store_problems(job, recipe, folder, manifest if found is None else found)
    if found:
        manifest = replace(manifest, stages=found.stages, audit=found.audit)
    write_atomically(out / JOB_FILE, job.model_dump_json(indent=2) + "\n")
    with open_cluster(_engine_cpus(job)):
        for stage in _stages(job, recipe, folder, manifest, has_solutions):
            manifest = run_watched(stage, manifest, watch)
            write_manifest(out, manifest)
    if found and manifest.stages != found.stages:
        manifest = replace(manifest, audit={})  # it was about less evidence than there is now
    manifest = publish(
        evidence=folder.estimate.files(),
        folder=folder.dataset,
        manifest=manifest,
        labeler=recipe.labeler,
        output=job.output,
    )
    write_manifest(out, manifest)
    return manifest


def _engine_cpus(job: Job) -> float:
    """CPUs that the engines of the larger stage reserve."""
    sections = [s for s in (job.generator, job.completer) if s is not None]
    return max(section.num_engines * section.num_cpus for section in sections)


def load_recipe_or_refuse(name: str) -> Recipe:
    """The recipe of this name. Raises InputError for an unknown one."""
    try:
        return load_recipe(name)
    except ValueError as error:
        raise InputError(str(error)) from error


def _store_problems(job: Job, recipe: Recipe, folder: JobFolder, manifest: Manifest) -> bool:
    """Puts the checked problems in place, all or nothing; whether solutions came with them.

    Problems that were not there in an earlier run join; the folder keeps those that were.
    """
    groups = checked_problems(job, recipe)
    # Beside the folder, or as near as there is anything: a refused job leaves no trace.
    nearest = next(parent for parent in folder.path.parents if parent.exists())
    temporary = nearest / f".{folder.path.name}.problems.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    num_given = num_read = 0
    try:
        temporary.mkdir(parents=True)
        rows: list[dict[str, Any]] = []
        for group in groups:
            num_read += 1
            num_given += bool(group.solutions)
            rows.append(to_row(group))
            if len(rows) == ROWS_PER_PROBLEMS_FILE:
                _write_problems(rows, temporary, num_read)
                rows = []
        if rows:
            _write_problems(rows, temporary, num_read)
        if num_given not in (0, num_read):
            raise InputError(
                f"{job.problems.path}: {num_given} of {num_read} problems come with solutions: "
                "give them for all or for none"
            )
        if not num_given and job.generator is None:
            raise InputError("the problems come without solutions: add 'generator: {model: ...}'")
        folder.path.mkdir(parents=True, exist_ok=True)
        write_manifest(folder.path, manifest)
        shutil.rmtree(folder.problems, ignore_errors=True)
        folder.problems.parent.mkdir(parents=True, exist_ok=True)
        temporary.rename(folder.problems)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return num_given > 0


def _write_problems(rows: list[dict[str, Any]], folder: Path, num_read: int) -> None:
    table = pa.Table.from_pylist(rows, schema=arrow_schema(ProblemGroup))
    pq.write_table(table, folder / f"problems-{num_read:09d}.parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of a job: what runs where, from which files into which folder."""

    name: str
    source: Callable[[], list[Path]]
    folder: StageFolder
    program: Program
    section: ModelSection


def _stages(
    job: Job, recipe: Recipe, folder: JobFolder, manifest: Manifest, has_solutions: bool
) -> list[Stage]:
    """One stage where one model does everything or solutions are given, else two."""

    def problems() -> list[Path]:
        return sorted(folder.problems.glob("*.parquet"))

    estimate = Estimate(
        recipe=recipe,
        prompt=SolvePrompt(system=job.completing.system),
        seed=job.seed,
        is_on_policy=is_on_policy(manifest),
    )
    estimating = partial(Stage, folder=folder.estimate, section=job.completing)
    if has_solutions:
        return [estimating(name="estimate", source=problems, program=estimate)]
    assert job.generator is not None
    sample = Sample(recipe=recipe, prompt=SolvePrompt(system=job.generator.system), seed=job.seed)
    if job.generator == job.completing:
        both = InTurn(programs=(sample, estimate))
        return [estimating(name="label", source=problems, program=both)]
    return [
        Stage(
            name="sample",
            source=problems,
            folder=folder.sample,
            program=sample,
            section=job.generator,
        ),
        estimating(name="estimate", source=folder.sample.files, program=estimate),
    ]


def run_watched(stage: Stage, manifest: Manifest, watch: Watch) -> Manifest:
    """One stage; its counters join the manifest, added to those of earlier runs."""
    import ray

    source = stage.source()
    num_pending = len(pending_problems(source, stage.folder))
    if not num_pending:
        return manifest
    tally = ray.remote(num_cpus=0)(Tally).remote()
    started_s = time.monotonic()
    run = StageRun(
        name=stage.name,
        num_groups=num_pending,
        num_stored=len(stage.folder.stored()),
        tally=tally,
    )
    with watch(run):
        run_stage(
            source=source,
            stage=stage.folder,
            program=stage.program,
            section=stage.section,
            tally=tally,
        )
    counts = ray.get(tally.total.remote())
    seconds = time.monotonic() - started_s
    earlier = manifest.stages.get(stage.name, {})
    counters = {"seconds": seconds, **_plain(counts)}
    summed = {k: round(v + earlier.get(k, 0), 3) for k, v in counters.items()}
    return replace(manifest, stages={**manifest.stages, stage.name: summed})


def _plain(counts: Any) -> dict[str, Any]:
    return {
        "num_ok": counts.num_ok,
        "num_dropped": counts.num_dropped,
        "num_failed": counts.num_failed,
        "working_s": counts.working_s,
        **engine_summary(counts.engine),
    }
