"""The processes of torchrun or accelerate: how many there are, and which one speaks."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from factory.errors import InputError

BY_TORCHRUN = "start by torchrun --nproc-per-node GPUS --no-python prm-factory train ..."
PATIENCE_S = 30
"""How long the main process may take to say what the others have noticed too."""


def num_processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def check_launch(num_gpus: int, *, has_adapters: bool) -> None:
    """Raises InputError for processes and GPUs that training is not made for."""
    if "WORLD_SIZE" not in os.environ and num_gpus > 1:
        raise InputError(
            f"one process sees {num_gpus} GPUs: start one for each by torchrun --nproc-per-node "
            f"{num_gpus} --no-python prm-factory train ..., or take one by CUDA_VISIBLE_DEVICES=0"
        )
    if num_processes() > 1 and "LOCAL_RANK" not in os.environ:
        raise InputError(
            f"the launcher says {num_processes()} processes by WORLD_SIZE, and by LOCAL_RANK not "
            f"which one of its machine this is: {BY_TORCHRUN}"
        )
    if _is_asked_for("DEEPSPEED"):
        raise InputError("DeepSpeed is not supported: shard by accelerate launch --use_fsdp")
    if not _is_asked_for("FSDP"):
        return
    if os.environ.get("FSDP_VERSION") != "2":
        raise InputError("sharded training needs FSDP2: add --fsdp_version 2 to accelerate launch")
    if has_adapters:
        raise InputError(
            "adapters are not merged under FSDP: start by torchrun, where each GPU holds the "
            "model, or train all weights (--lora-rank 0)"
        )


def check_processes(num_found: int, gpus_each: int) -> None:
    """Raises InputError where accelerate found others than the launcher said, by a word of its
    own, or takes several GPUs: each would train a model of its own, or a part of every batch."""
    if num_found != num_processes() or gpus_each > 1:
        raise InputError(
            f"the launcher says {num_processes()} processes, and accelerate finds {num_found} with "
            f"{gpus_each} GPUs each: {BY_TORCHRUN}"
        )


def _is_asked_for(way: str) -> bool:
    """By `accelerate launch`, which says so in the environment."""
    return os.environ.get(f"ACCELERATE_USE_{way}", "false").lower() == "true"


@contextmanager
def main_process_speaks() -> Iterator[None]:
    """Lets the main process alone tell a mistake.

    torchrun ends all processes as soon as one ends, so the others wait for that. If nobody ends
    them the mistake is theirs alone, like a file that their machine lacks, and they tell it.
    """
    try:
        yield
    except InputError:
        if not is_main_process():
            time.sleep(PATIENCE_S)
        raise
