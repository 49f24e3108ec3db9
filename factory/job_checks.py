"""What can be wrong with a job before anything is written or started: recipe, roles, models."""

from factory.core.prompts import SolvePrompt
from factory.core.recipe import Recipe
from factory.errors import InputError
from factory.job import ROLES, Job
from factory.job_stages import check_sandbox
from factory.models import check_model
from factory.recipes import load_recipe
from workers.engine_args import unknown


def load_recipe_or_refuse(name: str) -> Recipe:
    """The recipe of this name. Raises InputError for an unknown one."""
    try:
        return load_recipe(name)
    except ValueError as error:
        raise InputError(str(error)) from error


def check_roles(job: Job, recipe: Recipe) -> None:
    """Raises InputError when the recipe needs a model that the job does not name."""
    if recipe.teaching and job.teacher is None:
        raise InputError(f"recipe {recipe.name!r} asks a teacher: add 'teacher: {{model: ...}}'")
    if job.teacher and recipe.teaching is None:
        raise InputError(
            f"recipe {recipe.name!r} asks no teacher: remove 'teacher', or name a recipe that does"
        )
    if job.push_to and job.output.format == "arrow":
        raise InputError("output.format: the Hub gets Parquet shards: take 'parquet' to push")
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


def check_engine_args(job: Job) -> None:
    """Raises InputError for an engine argument that the vLLM installed here does not have."""
    for role in ROLES:
        section = getattr(job, role)
        if section is not None and (found := unknown(section.engine_args)):
            raise InputError(f"{role}.engine_args: {found}")


def check_models(job: Job, recipe: Recipe) -> None:
    """Raises InputError for a model that is not there or is asked for something that vLLM does not
    have, and for a sandbox that cannot be."""
    check_engine_args(job)
    for role in ("generator", "completer"):
        if (section := getattr(job, role)) is not None:
            check_model(role, section, SolvePrompt(system=section.system)("1 + 1 = ?").messages)
    if recipe.teaching and job.teacher:
        form = recipe.teaching.form
        check_model("teacher", job.teacher, form.prompt("1 + 1 = ?", ("2",)).messages)
        if form.runs_code:
            check_sandbox(job.sandbox)
