"""The model a run starts from, held to what it was: a commit on the Hub, or what a folder holds."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from factory.errors import InputError, shortened
from factory.training.prm_file import PRM_FILE, PrmFile, read_prm_file
from factory.training.processes import is_main_process
from factory.training.row_files import content_digest
from factory.training.settings import TrainSettings
from factory.training.sources import HUB_ID

CONFIG_FILE = "config.json"
READ = (
    *(CONFIG_FILE, "*.safetensors", "*.bin", "tokenizer*", "vocab.*", "merges.txt"),
    *("added_tokens.json", "special_tokens_map.json", "chat_template*", PRM_FILE),
)
"""The files of a folder that training reads."""


def at_commit(settings: TrainSettings) -> TrainSettings:
    """The same with the commit of a model on the Hub, which may be given as org/name@revision.

    Raises InputError where there is no model.
    """
    from huggingface_hub import hf_hub_download

    if Path(settings.model).is_dir():
        return settings
    hub = HUB_ID.fullmatch(settings.model)
    name, revision = (hub["repo"], hub["revision"]) if hub else (settings.model, None)
    try:
        config = Path(hf_hub_download(name, CONFIG_FILE, revision=revision))
    except (OSError, ValueError) as error:
        raise InputError(f"no model in {settings.model}: {shortened(error)}") from error
    return replace(settings, model=name, model_revision=config.parent.name)


def with_digest(settings: TrainSettings) -> TrainSettings:
    """The same with a digest of a folder's files, every byte of which is read for it.

    The other processes, which write nothing, leave that to the main one.
    """
    folder = Path(settings.model)
    if not folder.is_dir() or not is_main_process():
        return settings
    files = sorted({file for pattern in READ for file in folder.glob(pattern) if file.is_file()})
    return replace(settings, model_revision=content_digest(files))


def prm_file_of(settings: TrainSettings) -> PrmFile | None:
    """What is written beside the model where it is a PRM; `None` where it is none, or not known."""
    if (folder := Path(settings.model)).is_dir():
        return read_prm_file(folder)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    with suppress(EntryNotFoundError, OSError):  # most models have none
        found = hf_hub_download(settings.model, PRM_FILE, revision=settings.model_revision)
        return read_prm_file(Path(found).parent)
    return None
