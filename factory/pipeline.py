"""A labelling job from problems to published dataset: sample, estimate, publish."""

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from factory.cluster import open_cluster
from factory.core.prompts import SolvePrompt
from factory.core.recipe import Recipe
from factory.errors import InputError
from factory.identity import check_folder, job_manifest
from factory.job import ROLES, Job
from factory.job_folder import JOB_FILE, JobFolder
from factory.job_stages import Stage, check_sandbox, stages_of
from factory.models import check_model
from factory.placement import num_gpus
from factory.problem_checks import checked_problems
from factory.publish import publish
from factory.recipes import load_recipe
from factory.reuse import take_evidence
from factory.stages import pending_problems, run_stage
from factory.trust import check_code
from factory.watching.events import event
from factory.watching.seen import job_seen
from factory.watching.stage_run import StageRun, Watch, unwatched
from schemas.arrow import arrow_schema, to_row
from schemas.manifest import Manifest, write_atomically, write_manifest
from schemas.records import ProblemGroup
from workers.tally import Tally, engine_summary

__all__ = ["StageRun", "Watch", "label", "load_recipe_or_refuse", "run_watched", "unwatched"]

ROWS_PER_PROBLEMS_FILE = 5_000


def label(
    job: Job,
    out: Path,
    watch: Watch,
    evidence_of: Path | None = None,
    *,
    allow_code: bool = False,
) -> Manifest:
    """Runs a job, or goes on with one that was interrupted, and publishes its dataset.

    `evidence_of` is the folder of a job whose rollouts this one takes over, where it would buy the
    same: another teacher or another rule then costs no rollout. `allow_code` says that the job's
    author may run code here (see `factory.trust`).

    Everything that can be wrong with the input is found before anything is written or started.
    Raises InputError for it.
    """
    check_code(job, allow_code=allow_code)
    recipe = load_recipe_or_refuse(job.recipe)
    _check_roles(job, recipe)
    for role in ("generator", "completer"):
        if (section := getattr(job, role)) is not None:
            check_model(role, section, SolvePrompt(system=section.system)("1 + 1 = ?").messages)
    if recipe.teaching and job.teacher:
        form = recipe.teaching.form
        check_model("teacher", job.teacher, form.prompt("1 + 1 = ?", ("2",)).messages)
        if form.runs_code:
            check_sandbox(job.sandbox)
    manifest = job_manifest(job, recipe)
    out = out.resolve()
    folder = JobFolder(path=out)
    found = check_folder(out, manifest)
    if evidence_of is not None:
        take_evidence(evidence_of, out, manifest)
    has_solutions = _store_problems(job, recipe, folder, manifest if found is None else found)
    if found:
        manifest = replace(manifest, stages=found.stages, audit=found.audit)
    write_atomically(out / JOB_FILE, job.model_dump_json(indent=2) + "\n")
    with job_seen(out, manifest, watch) as watch:
        with open_cluster(_engine_cpus(job)):
            for stage in stages_of(job, recipe, folder, manifest, has_solutions):
                manifest = run_watched(stage, manifest, watch)
                write_manifest(out, manifest)
        if found and manifest.stages != found.stages:
            manifest = replace(manifest, audit={})  # it was about less evidence than there is now
        event("publishing")
        manifest = publish(
            evidence=folder.evidence(manifest.recipe),
            folder=folder.dataset,
            manifest=manifest,
            labeler=recipe.labeler,
            curation=recipe.curation,
            output=job.output,
        )
        write_manifest(out, manifest)
        for number, shard in enumerate(manifest.shards, start=1):
            event("shard sealed", path=shard.path, rows=shard.num_rows, num_sealed=number)
    return manifest


def _check_roles(job: Job, recipe: Recipe) -> None:
    """Raises InputError when the recipe needs a model that the job does not name."""
    if recipe.teaching and job.teacher is None:
        raise InputError(f"recipe {recipe.name!r} asks a teacher: add 'teacher: {{model: ...}}'")
    if job.teacher and recipe.teaching is None:
        raise InputError(
            f"recipe {recipe.name!r} asks no teacher: remove 'teacher', or name a recipe that does"
        )
    if recipe.teaching and job.output.format == "arrow":
        raise InputError(
            "output.format: a job with a teacher publishes parts that Arrow datasets have no room "
            "for: take 'parquet'"
        )
    if not recipe.has_given_labels and job.generator is None and job.completer is None:
        raise InputError(
            f"recipe {recipe.name!r} needs rollouts: add 'generator: {{model: ...}}', or "
            "'completer' where the problems come with solutions"
        )


def _engine_cpus(job: Job) -> float:
    """CPUs that the engines of the largest stage reserve."""
    sections = [s for s in (getattr(job, role) for role in ROLES) if s is not None]
    return max(section.min_engines * section.num_cpus for section in sections)


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
        if not num_given and not recipe.has_given_labels and job.generator is None:
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
        num_engines=stage.section.max_engines,
        num_gpus=num_gpus(stage.section),
    )
    with watch(run):
        run_stage(
            source=source,
            stage=stage.folder,
            program=stage.program,
            section=stage.section,
            tally=tally,
            open_tool=stage.open_tool,
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
