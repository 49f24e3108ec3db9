"""Which commit of a Hub model a job runs on: found once, kept in its folder, told to every engine.

Left to themselves engines load what the branch is when each of them starts.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from factory.core.recipe import Recipe
from factory.job import ROLES, EngineSection, Job
from schemas.manifest import Manifest

HUB_TIMEOUT_S = 5.0
ON = ("1", "true")
"""What vLLM takes for a switch of the environment that is on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Commits of a role's model."""

    model: str
    revision: str | None
    """`None` for a local folder, and where nobody knows."""
    tokenizer_revision: str | None = None
    """Of a tokenizer from another repository or branch; `None` where it is the model's own."""


Pins = Mapping[str, Pin]
"""By role."""


def pins_of(job: Job, recipe: Recipe, stored: Pins) -> Pins:
    """The commits a job runs on: those it names, those its folder began with, or what is on the Hub
    now, else in the local cache."""
    sections = {role: getattr(job, role) for role in _roles(recipe)}
    return {role: _pin(one, stored.get(role)) for role, one in sections.items() if one is not None}


def _roles(recipe: Recipe) -> tuple[str, ...]:
    rollouts = () if recipe.has_given_labels else ("generator", "completer")
    return (*rollouts, *(("teacher",) if recipe.teaching else ()))


def _pin(section: EngineSection, stored: Pin | None) -> Pin:
    known = stored if stored is not None and stored.model == section.model else None
    return Pin(
        model=section.model,
        revision=None if Path(section.model).is_dir() else _model_commit(section, known),
        tokenizer_revision=_tokenizer_commit(section, known),
    )


def _model_commit(section: EngineSection, known: Pin | None) -> str | None:
    """A folder that began without a commit goes on without: its digest says so."""
    asked = section.engine_args.get("revision")
    if _is_commit(asked):
        return str(asked)
    if known is not None and (known.revision or asked is None):
        return known.revision
    return hub_revision(
        section.model, section.engine_args.get("download_dir"), str(asked or "main")
    )


def _tokenizer_commit(section: EngineSection, known: Pin | None) -> str | None:
    """Where it is not the model's own, for which vLLM takes the model's commit as it is."""
    arguments = section.engine_args
    repository = arguments.get("tokenizer") or section.model
    asked = arguments.get("tokenizer_revision")
    if Path(repository).exists() or (repository == section.model and asked is None):
        return None
    if _is_commit(asked):
        return str(asked)
    if known is not None and known.tokenizer_revision:
        return known.tokenizer_revision
    models = arguments.get("revision")
    branch = asked or (models if models and not _is_commit(models) else "main")
    return hub_revision(repository, arguments.get("download_dir"), str(branch)) or branch


def _is_commit(revision: object) -> bool:
    return isinstance(revision, str) and re.fullmatch("[0-9a-f]{40}", revision) is not None


@cache
def hub_revision(model: str, cache_dir: str | None = None, branch: str = "main") -> str | None:
    """The commit that a Hub id means now, or in the local cache; `None` if neither is there."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.file_download import repo_folder_name

    if not constants.HF_HUB_OFFLINE:
        try:
            return HfApi().model_info(model, revision=branch, timeout=HUB_TIMEOUT_S).sha
        except Exception:  # the HTTP client's own, which changes; the engine will say what is wrong
            pass
    folder = Path(cache_dir or constants.HF_HUB_CACHE)
    repository = folder / repo_folder_name(repo_id=model, repo_type="model")
    ref = repository / "refs" / branch
    if ref.is_file():
        return ref.read_text(encoding="utf-8").strip()
    # engines that were told a commit leave no ref: of a branch nobody named it is the only one
    commits = [path.name for path in repository.glob("snapshots/*") if _is_commit(path.name)]
    return commits[0] if branch == "main" and len(commits) == 1 else None


def stored_pins(manifest: Manifest, job: Job | None) -> Pins:
    """The commits a folder began with, by its manifest and its job as it was run: those written
    before engines were told them stand in the manifest alone."""
    found = {}
    for role in ROLES:
        named = manifest.models.get(role)
        if not named or named["fingerprint"]:
            continue
        ran = job and (getattr(job, role) or (job.generator if role == "completer" else None))
        told = ran.engine_args if ran and ran.model == named["model"] else {}
        revisions = (told.get("revision"), named.get("revision"))
        tokenizers = told.get("tokenizer_revision")
        found[role] = Pin(
            model=named["model"],
            revision=next(filter(_is_commit, revisions), None),
            tokenizer_revision=tokenizers if _is_commit(tokenizers) else None,
        )
    return found


def pinned(job: Job, pins: Pins) -> Job:
    """The job with commits in its engine arguments."""
    sections = {role: (getattr(job, role), pin) for role, pin in pins.items()}
    told = {role: _pinned(one, pin) for role, (one, pin) in sections.items() if one is not None}
    return job.model_copy(update=told)


def _pinned(section: EngineSection, pin: Pin) -> EngineSection:
    if not _takes_commits(section):
        return section
    told = {"revision": pin.revision, "tokenizer_revision": pin.tokenizer_revision}
    arguments = {name: commit for name, commit in told.items() if commit is not None}
    return section.model_copy(update={"engine_args": {**section.engine_args, **arguments}})


def _takes_commits(section: EngineSection) -> bool:
    """ModelScope has commits of its own, and vLLM would look for the model's in the repository that
    `hf_config_path` names."""
    config = section.engine_args.get("hf_config_path") or section.model
    is_elsewhere = config != section.model and not Path(config).exists()
    return not is_elsewhere and os.environ.get("VLLM_USE_MODELSCOPE", "").lower() not in ON


def unpinned(job: Job, pins: Pins) -> Iterator[str]:
    """Lines for a person about models of which engines may load different commits."""
    for role, pin in pins.items():
        section = getattr(job, role)
        branch = section.engine_args.get("revision", "main")
        is_told = pin.revision and (_takes_commits(section) or branch == pin.revision)
        if Path(pin.model).is_dir() or is_told:
            continue
        yield (
            f"{role}.model {pin.model} is not pinned to a commit: each engine loads what it finds "
            f"as {branch!r} when it starts; 'revision' among engine_args names one"
        )
