"""Saving what was trained: a checkpoint that loads in one line, adapters merged, then prm.json."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

from factory.errors import shortened
from factory.training.divergence import check_trained
from factory.training.models import has_bf16
from factory.training.prm_file import PrmFile, write_prm_file
from factory.training.processes import is_main_process
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


def say_all(lines: Iterable[str], say: Say) -> None:
    for line in lines:
        say(line)


def finish(trainer: "Trainer", settings: TrainSettings, prm: PrmFile, say: Say) -> Trained:
    """Saves the model, says by prm.json that it is complete, and then removes what only the
    training needed: a run that is killed before can be resumed. Raises InputError, and saves
    nothing, for weights that are not finite.

    Weights are saved in bfloat16 where they were computed in it. LoRA's are merged into the model,
    which then loads like any other; the adapters alone lie beside it, exact.
    """
    out = settings.out
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    if trainer.is_fsdp_enabled:
        model = gathered(model)
    if trainer.is_world_process_zero():
        assert model is not None
        check_trained(model, settings)
        _save(model, trainer.processing_class, settings)
        check_weights(out)
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        write_prm_file(out, prm)
        (out / EXAMPLES).unlink(missing_ok=True)
        shutil.rmtree(checkpoints_in(out), ignore_errors=True)
    say(f"model in {out}")
    return Trained(folder=out, prm=prm, log=tuple(trainer.state.log_history))


def gathered(model: Any) -> Any:
    """A model whose weights lie in shards, whole, in the main process's memory; elsewhere `None`.

    Every process calls this.
    """
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights = get_model_state_dict(model, options=options)
    if not is_main_process():
        return None
    kind = next(c for c in type(model).__mro__ if not c.__name__.startswith("FSDP"))
    with torch.device("meta"):
        whole = kind(model.config)
    whole.load_state_dict(weights, assign=True)
    whole.tie_weights()
    whole.generation_config = getattr(model, "generation_config", None)
    return whole


def check_weights(out: Path) -> None:
    """Raises RuntimeError where no complete weights lie: what they were trained by has to stay."""
    try:
        names = [name for path in out.glob("*.safetensors") for name in _names_in(path)]
    except SafetensorError as error:
        raise RuntimeError(f"the weights in {out} are broken: {shortened(error)}") from error
    if not names:
        raise RuntimeError(f"no weights were written to {out}: resume from its checkpoints")


def _names_in(path: Path) -> list[str]:
    with safe_open(path, framework="pt") as weights:
        return list(weights.keys())


def _save(model: Any, tokenizer: Any, settings: TrainSettings) -> None:
    if settings.lora_rank:
        model.save_pretrained(str(settings.out / ADAPTER))
        model = model.merge_and_unload()
    if has_bf16(settings):
        model = model.to(torch.bfloat16)
    model.config.use_cache = True
    model.save_pretrained(str(settings.out))
    tokenizer.save_pretrained(str(settings.out))
