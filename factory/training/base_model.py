"""The model a run starts from, held to what it was: a commit on the Hub, or what a folder holds."""

from dataclasses import replace
from pathlib import Path

from factory.errors import InputError, shortened
from factory.training.prm_file import PRM_FILE
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
