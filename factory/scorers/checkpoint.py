"""What a model folder or Hub id is, from its prm.json and config.json alone."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from factory.errors import InputError, shortened
from factory.training.prm_file import (
    DISCRIMINATIVE,
    GENERATIVE,
    PrmFile,
    good_class,
    hub_prm_file,
    is_judging,
    read_prm_file,
)
from factory.training.sources import HUB_ID

QWEN_PRM = "Qwen2ForProcessRewardModel"
CONFIG_FILE = "config.json"
ADAPTER_FILE = "adapter_config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model before it is loaded."""

    model: str
    """A folder or a Hub id."""
    config: dict[str, Any]
    prm: PrmFile | None
    revision: str | None = None
    """On the Hub: the commit the two files are of, and with them all that is loaded."""

    @property
    def architecture(self) -> str:
        """The first that config.json names; empty where it names none."""
        names = self.config.get("architectures")
        first = names[0] if isinstance(names, list) and names else None
        return first if isinstance(first, str) else ""

    @property
    def auto_map(self) -> dict[str, str]:
        """The code that comes with the checkpoint, by what it is for."""
        found = self.config.get("auto_map")
        return found if isinstance(found, dict) else {}

    @property
    def good_label(self) -> int:
        """The class of good steps by config.json: the one it names so, else the second."""
        return good_class(self.config.get("id2label"))

    @property
    def kind(self) -> str:
        """As prm.json says, else as the architecture does.

        Raises InputError for an architecture that is neither.
        """
        if self.prm is not None:
            return self.prm.kind
        name = self.architecture
        if name == QWEN_PRM or name.endswith("ForTokenClassification"):
            return DISCRIMINATIVE
        if name.endswith(("ForCausalLM", "ForConditionalGeneration")):
            return GENERATIVE
        raise InputError(
            f"{self.model} is a {name or 'model of no named architecture'}, which is no PRM known "
            f"here: give a token classifier, a {QWEN_PRM}, or a language model with --form"
        )


def open_checkpoint(model: str) -> Checkpoint:
    """Reads the two files. Raises InputError where there is no model."""
    folder = Path(model)
    if not model.strip():
        raise InputError("no model is named: give a folder or a Hub id like 'org/name'")
    if folder.is_file():
        raise InputError(f"{model} is a file: give the folder that holds its config.json")
    if folder.is_dir():
        if not (folder / CONFIG_FILE).is_file():
            if (folder / ADAPTER_FILE).is_file():
                raise InputError(f"{model} is an adapter: merge it into its base model first")
            raise InputError(
                f"{model} holds no {CONFIG_FILE}: give a folder in Hugging Face's layout"
            )
        return _read(model, folder)
    hub = HUB_ID.fullmatch(model)
    is_path = folder.is_absolute() or model.startswith(".")
    if is_path or (hub is None and model.count("/") != 1):
        raise InputError(
            f"model folder {model} does not exist; give a folder in Hugging Face's layout or a "
            "Hub id like 'org/name'"
        )
    name, revision = (hub["repo"], hub["revision"]) if hub else (model, None)
    folder = _from_hub(name, revision)
    found = replace(_read(name, folder), revision=folder.name)
    if found.prm is None:
        needed = is_judging(found.architecture)
        found = replace(found, prm=hub_prm_file(name, folder.name, is_needed=needed))
    return found


def _read(model: str, folder: Path) -> Checkpoint:
    path = folder / CONFIG_FILE
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged: {shortened(error)}") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} is damaged: it holds no object")
    return Checkpoint(model=model, config=config, prm=read_prm_file(folder))


def _from_hub(model: str, revision: str | None) -> Path:
    """The folder of the Hub's cache that holds config.json. Its name is the commit."""
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(model, CONFIG_FILE, revision=revision)).parent
    except Exception as error:
        raise InputError(f"{model!r} is no folder here, and {hub_trouble(error)}") from error


def hub_trouble(error: Exception) -> str:
    """Why nothing came from the Hub, and what to do."""
    from huggingface_hub import errors

    log_in = "log in with 'hf auth login' or set HF_TOKEN"
    known: tuple[tuple[type[Exception], str], ...] = (
        (
            errors.GatedRepoError,
            f"on the Hub it is gated: ask for access on its page, then {log_in}",
        ),
        (
            errors.RepositoryNotFoundError,
            f"the Hub shows no such model: check its name, and if it is private {log_in}",
        ),
        (
            errors.LocalEntryNotFoundError,
            "the Hub cannot be reached: check the connection and HF_HUB_OFFLINE",
        ),
        (errors.EntryNotFoundError, f"on the Hub it holds no {CONFIG_FILE}: it is no model"),
        (errors.HFValidationError, "no Hub id either: give a folder or an id like 'org/name'"),
    )
    told = next((what for kind, what in known if isinstance(error, kind)), None)
    return told or f"loading it from the Hub failed: {type(error).__name__}: {shortened(error)}"


def not_loaded(what: str, error: Exception) -> InputError:
    """What a library could not load, in a line."""
    if "trust_remote_code" in str(error):
        return InputError(
            f"{what} needs the code that comes with it: read that code, then add "
            "--trust-remote-code"
        )
    said = shortened(error, 300)
    return InputError(f"{what} does not load: {type(error).__name__}: {said}")
