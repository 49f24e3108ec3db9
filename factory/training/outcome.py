"""Saving what was trained: a checkpoint that loads in one line, adapters merged, then prm.json."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from factory.training.models import has_bf16
from factory.training.prm_file import PrmFile, write_prm_file
from factory.training.run_folder import EXAMPLES, checkpoints_in
from factory.training.settings import TrainSettings

if TYPE_CHECKING:
    from transformers import Trainer

Say = Callable[[str], None]
ADAPTER = "adapter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A finished run."""

    folder: Path
    prm: PrmFile
    log: tuple[dict[str, Any], ...]
    """What the Trainer logged: step, loss, learning_rate, grad_norm, at the end the times."""


def finish(trainer: "Trainer", settings: TrainSettings, prm: PrmFile, say: Say) -> Trained:
    """Saves the model, says by prm.json that it is complete, and then removes what only the
    training needed: a run that is killed before can be resumed.

    Weights are saved in bfloat16 where they were computed in it. LoRA's are merged into the model,
    which then loads like any other; the adapters alone lie beside it, exact.
    """
    out = settings.out
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        trainer.save_model(str(out))  # gathers the shards
    elif trainer.is_world_process_zero():
        _save(trainer, settings)
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        write_prm_file(out, prm)
        (out / EXAMPLES).unlink(missing_ok=True)
        shutil.rmtree(checkpoints_in(out), ignore_errors=True)
    say(f"model in {out}")
    return Trained(folder=out, prm=prm, log=tuple(trainer.state.log_history))


def _save(trainer: "Trainer", settings: TrainSettings) -> None:
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    if settings.lora_rank:
        model.save_pretrained(str(settings.out / ADAPTER))
        model = model.merge_and_unload()
    if has_bf16(settings):
        model = model.to(torch.bfloat16)
    model.config.use_cache = True
    model.save_pretrained(str(settings.out))
    tokenizer = trainer.processing_class
    assert tokenizer is not None
    tokenizer.save_pretrained(str(settings.out))
