"""transformers' TrainingArguments from our settings, the same for both kinds of PRM."""

import os
from typing import Any

from factory.errors import InputError
from factory.training.models import has_bf16, num_gpus
from factory.training.processes import num_processes
from factory.training.run_folder import checkpoints_in
from factory.training.settings import TrainSettings

LOG_STEPS = 10
CHECKPOINTS_KEPT = 2
PATIENCE_S = 24 * 3600
"""How long the other processes may wait for the main one: it makes the examples, and saves."""


def training_arguments(settings: TrainSettings, max_steps: int | None) -> dict[str, Any]:
    """Keyword arguments for TrainingArguments and what TRL derives from it.

    `max_steps` `None` counts epochs. Raises InputError for batches that cannot be divided, and
    where the curves cannot go.
    """
    _check_reporting(settings.report_to)
    is_cpu = not num_gpus(settings)
    return {
        "output_dir": str(checkpoints_in(settings.out)),
        "per_device_train_batch_size": settings.micro_batch_size,
        "gradient_accumulation_steps": _accumulation(settings),
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.scheduler,
        "warmup_steps": settings.warmup_steps,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "num_train_epochs": settings.epochs or 1,  # without, steps are counted
        "max_steps": max_steps or -1,
        "bf16": has_bf16(settings),
        "gradient_checkpointing": settings.gradient_checkpointing,
        "save_strategy": "steps",
        "save_steps": settings.save_steps,
        "save_total_limit": CHECKPOINTS_KEPT,
        "logging_steps": LOG_STEPS,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "report_to": settings.report_to,
        "seed": settings.seed,
        "data_seed": settings.seed,
        "use_cpu": is_cpu,
        "ddp_backend": "gloo" if is_cpu and num_processes() > 1 else None,
        "ddp_timeout": PATIENCE_S,
        "ddp_find_unused_parameters": False,
        "remove_unused_columns": False,
        "disable_tqdm": None if os.isatty(2) else True,
        # Each process takes its share of a stream: batches of different widths cannot be sent on.
        "accelerator_config": {"dispatch_batches": False},
    }


def _accumulation(settings: TrainSettings) -> int:
    assert settings.batch_size is not None
    together = settings.micro_batch_size * num_processes()
    if settings.batch_size % together:
        raise InputError(
            f"--batch-size {settings.batch_size} is no multiple of {together}: "
            f"{settings.micro_batch_size} (--micro-batch-size) on {num_processes()} devices"
        )
    return settings.batch_size // together


def _check_reporting(report_to: str) -> None:
    from transformers.integrations import get_available_reporting_integrations

    there = ("none", "all", *get_available_reporting_integrations())
    if report_to not in there:
        raise InputError(
            f"--report-to {report_to} is not installed here or unknown to transformers: there are "
            f"{', '.join(there)}"
        )
