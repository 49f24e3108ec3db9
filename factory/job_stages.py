"""Which stages a job has: what runs on which model, into which folder."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from factory.core.prompts import SolvePrompt
from factory.core.recipe import Recipe
from factory.errors import InputError, shortened
from factory.job import EngineSection, Job, SandboxSection
from factory.job_folder import JobFolder
from factory.programs.critique import Critique
from factory.programs.estimate import Estimate
from factory.programs.in_turn import InTurn
from factory.programs.sample import Sample
from factory.publish import is_on_policy
from factory.stage_folder import StageFolder
from schemas.manifest import Manifest
from workers.grading import Grader
from workers.program import Program
from workers.sandbox import WAIT_FACTOR, Limits, Sandbox, SandboxUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of a job: what runs where, into which folder. It reads what the one before stored."""

    name: str
    folder: StageFolder
    program: Program
    section: EngineSection
    open_tool: Callable[[], Any] = Grader


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSandbox:
    """Opens the sandbox of a critique stage; runs inside the worker."""

    section: SandboxSection

    def __call__(self) -> Sandbox:
        limits = Limits(
            cpu_s=self.section.wall_s,
            wall_s=WAIT_FACTOR * self.section.wall_s,
            memory_bytes=self.section.memory_mb << 20,
        )
        return Sandbox(
            num_workers=self.section.num_processes, limits=limits, unsafe=self.section.unsafe
        )


def check_sandbox(section: SandboxSection) -> None:
    """Raises InputError where code could not be executed here: before anything is paid for."""
    try:
        OpenSandbox(section=section)().close()
    except SandboxUnavailable as error:
        raise InputError(
            f"{shortened(error, 600)} In a job file that is 'sandbox: {{unsafe: true}}'."
        ) from error


def stages_of(
    job: Job, recipe: Recipe, folder: JobFolder, manifest: Manifest, has_solutions: bool
) -> list[Stage]:
    """What has to run, in order: nothing before the critique where labels are given."""
    estimating = (
        []
        if recipe.has_given_labels
        else _rollout_stages(job, recipe, folder, manifest, has_solutions)
    )
    if recipe.teaching is None:
        return estimating
    assert job.teacher is not None
    critique = Stage(
        name="critique",
        folder=folder.critique,
        program=Critique(teaching=recipe.teaching, seed=job.seed),
        section=job.teacher,
        open_tool=OpenSandbox(section=job.sandbox) if recipe.teaching.form.runs_code else _no_tool,
    )
    return [*estimating, critique]


def _no_tool() -> None:
    """For a teacher that writes no code."""


def _rollout_stages(
    job: Job,
    recipe: Recipe,
    folder: JobFolder,
    manifest: Manifest,
    has_solutions: bool,
) -> list[Stage]:
    """One stage where one model does everything or solutions are given, else two."""

    estimate = Estimate(
        recipe=recipe,
        prompt=SolvePrompt(system=job.completing.system),
        seed=job.seed,
        is_on_policy=is_on_policy(manifest),
    )
    estimating = partial(Stage, folder=folder.estimate, section=job.completing)
    if has_solutions:
        return [estimating(name="estimate", program=estimate)]
    assert job.generator is not None
    sample = Sample(recipe=recipe, prompt=SolvePrompt(system=job.generator.system), seed=job.seed)
    if job.generator == job.completing:
        both = InTurn(programs=(sample, estimate))
        return [estimating(name="label", program=both)]
    return [
        Stage(
            name="sample",
            folder=folder.sample,
            program=sample,
            section=job.generator,
        ),
        estimating(name="estimate", program=estimate),
    ]
