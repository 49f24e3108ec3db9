"""An audit: labelled solutions drawn at random, rolled out afresh and at length, and compared.

The claim of a label rests on a prior; an audit does not. It draws solutions by a hash until their
open prefixes hold the steps asked for, spends fresh rollouts with seeds of their own at every
prefix of theirs, and applies the recipe's own rule to these counts. The bare problem keeps its
samples.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from factory.card import dataset_card
from factory.cluster import open_cluster
from factory.core.auditing import AuditedStep, report
from factory.core.chain import chain_of
from factory.core.labelers import Labeler, StepLabel
from factory.core.planners import FixedK, NoRollouts
from factory.core.prompts import SolvePrompt
from factory.core.recipe import Recipe
from factory.ending import Ending, sigterm_ends
from factory.errors import InputError
from factory.identity import manifest_in
from factory.job import Job
from factory.job_checks import load_recipe_or_refuse
from factory.job_folder import JOB_FILE, JobFolder
from factory.job_stages import Stage
from factory.lease import Lease
from factory.programs.estimate import Estimate
from factory.publish import is_on_policy
from factory.revisions import pinned, stored_pins
from factory.stage_folder import StageFolder
from factory.stored import StoredRows, groups_in, rows_in
from factory.trust import check_code
from factory.watched_stage import run_watched
from factory.watching.stage_run import Watch
from schemas.arrow import arrow_schema, to_row
from schemas.files import absolute, read_bytes, write_atomically, write_table
from schemas.ids import content_id, seed_from
from schemas.manifest import Manifest, write_manifest
from schemas.records import ProblemGroup, Solution, Status


def audit(
    folder: Path, *, num_steps: int, num_rollouts: int, watch: Watch, allow_code: bool = False
) -> dict[str, Any]:
    """Audits a finished job; the report goes to its manifests, its card and `audit.json`.

    An audit that was interrupted goes on when called again with the same numbers. Raises
    InputError when the folder holds no finished job.
    """
    folder = absolute(folder)
    job, manifest = _finished(folder)
    check_code(job, allow_code=allow_code)
    ending = Ending()
    with sigterm_ends(), ending.watched(), Lease(folder, ending) as lease:
        run = partial(run_watched, watch=watch, may_write=lease.has_folder)
        return _audit(folder, job, manifest, num_steps, num_rollouts, run)


def _audit(
    folder: Path,
    job: Job,
    manifest: Manifest,
    num_steps: int,
    num_rollouts: int,
    run: Callable[..., Manifest],
) -> dict[str, Any]:
    recipe = load_recipe_or_refuse(job.recipe)
    published = _drawn(JobFolder(path=folder), num_steps, f"{manifest.digest} {num_steps}")
    name = f"audit-{num_steps}-{num_rollouts}"
    source = folder / "stages" / f"{name}-source.parquet"
    _store([replace(group, solutions=_bare(group)) for group in published], source)
    stage = Stage(
        name=name,
        folder=StageFolder(path=folder / "stages" / name),
        program=_program(job, recipe, manifest, num_rollouts),
        section=job.completing,
    )
    rows, stored = rows_in([source]), StoredRows(stage.folder)
    with open_cluster(job.engine_cpus):
        manifest = run(stage, rows, stored, manifest)
    fresh = groups_in(stored.rows, stored.rows)
    steps = _compared(published, fresh, recipe.labeler, is_on_policy(manifest))
    found = report(steps)
    _record(folder, replace(manifest, audit=found), job)
    return found


def _finished(folder: Path) -> tuple[Job, Manifest]:
    manifest = manifest_in(folder)
    path = folder / JOB_FILE
    if manifest is None or not manifest.is_complete or not path.exists():
        raise InputError(
            f"{folder} holds no finished job: give the folder that 'prm-factory label' made"
        )
    if manifest.recipe["planner"]["type"] == NoRollouts.__name__:
        raise InputError(f"the labels in {folder} came with the problems: nothing to audit")
    job = Job.model_validate_json(read_bytes(path))
    return pinned(job, stored_pins(manifest, job)), manifest


def _drawn(folder: JobFolder, num_steps: int, salt: str) -> list[ProblemGroup]:
    """Groups cut down to solutions drawn at random, with about `num_steps` open steps in all."""
    labelled = [
        (content_id(salt, solution.solution_id), group, solution)
        for group in folder.groups(folder.estimate)
        if group.status is Status.OK
        for solution in group.solutions
        if len(solution.steps) > 1
    ]
    chosen: dict[str, tuple[ProblemGroup, list[Solution]]] = {}
    for _, group, solution in sorted(labelled, key=lambda row: row[0]):
        if num_steps <= 0:
            break
        num_steps -= len(solution.steps) - 1
        chosen.setdefault(group.problem_id, (group, []))[1].append(solution)
    if not chosen:
        raise InputError("there is nothing to audit: no labelled solution has two steps or more")
    return [replace(group, solutions=tuple(solutions)) for group, solutions in chosen.values()]


def _bare(group: ProblemGroup) -> tuple[Solution, ...]:
    return tuple(replace(solution, evidence=()) for solution in group.solutions)


def _program(job: Job, recipe: Recipe, manifest: Manifest, num_rollouts: int) -> Estimate:
    return Estimate(
        recipe=replace(recipe, planner=FixedK(num_rollouts=num_rollouts)),
        prompt=SolvePrompt(system=job.completing.system),
        seed=seed_from(job.seed, "audit"),
        is_on_policy=is_on_policy(manifest),
    )


def _store(groups: list[ProblemGroup], path: Path) -> None:
    table = pa.Table.from_pylist([to_row(g) for g in groups], schema=arrow_schema(ProblemGroup))
    write_table(path, table)


def _compared(
    published: list[ProblemGroup],
    fresh: Iterable[ProblemGroup],
    labeler: Labeler,
    on_policy: bool,
) -> list[AuditedStep]:
    checked = {s.solution_id: (group, s) for group in fresh for s in group.solutions if s.evidence}
    steps = []
    for group in published:
        for solution in group.solutions:
            if solution.solution_id not in checked:
                continue
            again = labeler(chain_of(*checked[solution.solution_id], is_on_policy=on_policy))
            first = labeler(chain_of(group, solution, is_on_policy=on_policy))
            truth = _oracle(group, solution)
            evidence = checked[solution.solution_id][1].evidence
            for i in range(len(solution.steps) - 1):
                if first[i].label is None or again[i].label is None:
                    continue
                steps.append(
                    AuditedStep(
                        solution_id=solution.solution_id,
                        label=bool(first[i].label),
                        p_good=first[i].p_good,
                        is_decided=first[i].is_decided,
                        mc_score=_soft(first[i]),
                        fresh_label=bool(again[i].label),
                        fresh_correct=evidence[i].num_correct,
                        fresh_rollouts=evidence[i].num_rollouts,
                        is_good_in_truth=truth[i] if truth else None,
                    )
                )
    return steps


def _soft(step: StepLabel) -> float | None:
    return step.mc_score if step.value_mean is None else step.value_mean


def _oracle(group: ProblemGroup, solution: Solution) -> list[bool] | None:
    """The toy world's truth, where the problem names its place in it."""
    from factory.toy.oracle import judge
    from factory.toy.world import make_problem

    metadata = json.loads(group.metadata) if group.metadata else {}
    name = metadata.get("metadata", metadata)
    if not isinstance(name, dict) or set(name) != {"family", "level", "seed"}:
        return None
    problem = make_problem(**name)
    if problem.question != group.question:
        return None
    return [truth.is_alive for truth in judge(problem, [s.strip() for s in solution.steps])]


def _record(folder: Path, manifest: Manifest, job: Job) -> None:
    write_atomically(folder / "audit.json", json.dumps(manifest.audit, indent=2) + "\n")
    write_manifest(folder, manifest)
    dataset = JobFolder(path=folder).dataset
    write_manifest(dataset, manifest)
    write_atomically(dataset / "README.md", dataset_card(manifest, job.output.format))
