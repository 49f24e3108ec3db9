"""`train`: from labels to a process reward model in a folder."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from factory.errors import InputError
from factory.training.outcome import Say, Trained
from factory.training.processes import check_launch, is_main_process
from factory.training.settings import TrainSettings

if TYPE_CHECKING:
    from transformers import TrainerCallback


EXTRA = ("accelerate", "peft", "trl")
"""Packages that labelling does without."""


def train(
    settings: TrainSettings, say: Say = print, callbacks: Sequence["TrainerCallback"] = ()
) -> Trained:
    """Trains the PRM the settings describe and saves it to their `out`, complete with prm.json.

    Every process of a multi-GPU run calls this; the main one writes, and alone says something.
    Raises InputError for data, models and settings that do not go together.
    """
    if not is_main_process():
        say = _nothing
    if missing := [package for package in EXTRA if find_spec(package) is None]:
        raise InputError(f"training needs {', '.join(missing)}: pip install 'prm-factory[train]'")
    from factory.training.base_model import at_commit
    from factory.training.models import num_gpus

    check_launch(num_gpus(settings), has_adapters=settings.lora_rank > 0)
    settings = at_commit(settings)
    if settings.is_generative:
        from factory.training.generative import train_generative

        return train_generative(settings, say, callbacks)
    from factory.training.discriminative import train_discriminative

    return train_discriminative(settings.with_schedule(None), say, callbacks)


def _nothing(line: str) -> None:
    """What the other processes say."""
