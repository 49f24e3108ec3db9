"""Reads a job file, and says of a wrong one which line is wrong and what belongs there."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from factory.bounded_yaml import TooMuch, read_yaml
from factory.engine_args import with_absolute_paths
from factory.errors import InputError, shortened
from factory.job import (
    ROLES,
    UNION_TAGS,
    EngineRange,
    EngineSection,
    Job,
    ModelSection,
    OutputSection,
    ProblemsSection,
    PushSection,
    SandboxSection,
    Section,
)


def load_job(path: Path) -> Job:
    """Reads a job file. Paths in it are relative to its folder.

    Raises InputError naming file, line and field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read job file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error}") from error
    try:
        root, content = read_yaml(text)
    except TooMuch as error:
        raise InputError(f"{path}: {error}: write a job file by hand") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist
        raise InputError(_not_yaml(path, error)) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: a job file is a mapping with at least 'problems' in it")
    try:
        job = Job.model_validate(content)
    except ValidationError as error:
        raise InputError(_first_problem(path, error, dict(_lines(root)))) from error
    if job.generator is None and job.completer is None and job.teacher is None:
        raise InputError(f"{path}: name a model: add 'generator: {{model: ...}}'")
    return _with_absolute_paths(job, path.parent)


def _not_yaml(path: Path, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    line = f":{mark.line + 1}" if mark else ""
    return f"{path}{line}: not YAML: {shortened(getattr(error, 'problem', None) or error)}"


def _first_problem(path: Path, error: ValidationError, lines: dict[tuple[Any, ...], int]) -> str:
    first = error.errors()[0]
    where = tuple(part for part in first["loc"] if part not in ("[key]", *UNION_TAGS))
    line = next((lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in lines), None)
    place = f"{path}:{line}" if line else f"{path}"
    field = ".".join(str(part) for part in where)
    if first["type"] == "extra_forbidden":
        known = _known_fields(where[:-1])
        close = get_close_matches(str(where[-1]), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
        return f"{place}: unknown field {field}: {hint}"
    if first["type"] == "missing":
        return f"{place}: {field} is missing: add it"
    if first["type"] in ("value_error", "secret"):  # ours, which name what is wrong
        return f"{place}: {field}: {first['msg'].removeprefix('Value error, ')}"
    return f"{place}: {field}: {first['msg']}, not {shortened(repr(first['input']))}"


def _known_fields(where: tuple[Any, ...]) -> list[str]:
    sections: dict[tuple[Any, ...], type[Section]] = {
        (): Job,
        ("problems",): ProblemsSection,
        ("generator",): ModelSection,
        ("completer",): ModelSection,
        ("teacher",): EngineSection,
        **{(role, "num_engines"): EngineRange for role in ROLES},
        ("sandbox",): SandboxSection,
        ("output",): OutputSection,
        ("push",): PushSection,
    }
    return sorted(sections[where].model_fields) if where in sections else []


def _lines(
    node: yaml.Node | None, path: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Line of every key, by its path in the document."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, key.value), key.start_mark.line + 1
            yield from _lines(value, (*path, key.value))


def _with_absolute_paths(job: Job, folder: Path) -> Job:
    """Relative paths that exist beside the job file are meant; other names may be Hub ids.

    A name whose folder exists is a path too, though there is nothing at its end: no Hub id.
    """

    def resolved(name: str) -> str:
        beside = folder / Path(name).expanduser()
        is_inside = len(Path(name).parts) > 1 and beside.parent.is_dir()
        return str(beside.resolve()) if is_inside or beside.exists() else name

    problems = job.problems.model_copy(update={"path": resolved(job.problems.path)})
    models = {
        role: section.model_copy(
            update={
                "model": resolved(section.model),
                "engine_args": with_absolute_paths(section.engine_args, folder),
            }
        )
        for role in ROLES
        if (section := getattr(job, role)) is not None
    }
    recipe = resolved(job.recipe) if job.recipe.endswith(".py") else job.recipe
    return job.model_copy(update={"problems": problems, "recipe": recipe, **models})
