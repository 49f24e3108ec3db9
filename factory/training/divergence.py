"""A run that diverges stops before its optimizer takes the step, and saves no such weights."""

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.distributed.tensor import DTensor

from factory.errors import InputError
from factory.training.run_folder import newest_checkpoint
from factory.training.settings import TrainSettings

if TYPE_CHECKING:
    from transformers import Trainer


def check_step(trainer: "Trainer", grad_norm: Any, settings: TrainSettings) -> None:
    """Raises InputError, in all processes at once, where a loss or the gradient is not finite.

    Every process calls this between its last micro-batch and the optimizer's step.
    """
    norm = grad_norm.full_tensor() if isinstance(grad_norm, DTensor) else grad_norm
    loss = trainer._tr_loss
    here = torch.stack([loss.float(), torch.as_tensor(norm).to(loss.device, torch.float32)])
    found = trainer.accelerator.reduce(here, reduction="sum").tolist()
    names = [n for n, v in zip(("loss", "gradient"), found, strict=True) if not isfinite(v)]
    if names:
        what = f"the {' and the '.join(names)} of step {trainer.state.global_step + 1}"
        raise InputError(_diverged(f"{what} are not finite", settings))


def check_trained(model: torch.nn.Module, settings: TrainSettings) -> None:
    """Raises InputError for weights that are not finite."""
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise InputError(_diverged(f"the trained weights {name} are not finite", settings))


def _diverged(what: str, settings: TrainSettings) -> str:
    """What to do about it; a checkpoint that holds whole weights is one to go on from."""
    advice = (
        f"lower --learning-rate {settings.learning_rate} and begin in another folder with --out"
    )
    newest = newest_checkpoint(settings.out)
    if newest is not None and any(Path(newest).glob("model*.safetensors")):
        advice += f", again or from --model {newest}"
    return f"the run diverged, {what}: {advice}"
