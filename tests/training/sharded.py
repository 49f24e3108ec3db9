"""`python -m tests.training.sharded train ...`: FSDP2 on CPUs, which accelerate keeps for GPUs.

INTERRUPTED_AFTER in the environment is a step behind which the run breaks off.
"""

import os
from typing import Any

from accelerate import PartialState
from accelerate.utils import DistributedType
from torch.distributed.fsdp import FSDPModule
from transformers import Trainer

from factory.cli import main

_begin, _wrap = PartialState.__init__, Trainer._prepare_for_training
_step = Trainer.training_step


def begin(self: PartialState, *given: Any, **named: Any) -> None:
    _begin(self, *given, **named)
    if self.distributed_type is DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU


def wrap(self: Trainer, *given: Any, **named: Any) -> Any:
    found = _wrap(self, *given, **named)
    if isinstance(self.model, FSDPModule) and self.is_world_process_zero():
        print(self.accelerator.num_processes, "shards")
    return found


def train_step(self: Trainer, *given: Any, **named: Any) -> Any:
    if os.environ.get("INTERRUPTED_AFTER") == str(self.state.global_step):
        os._exit(3)
    return _step(self, *given, **named)


if __name__ == "__main__":
    PartialState.__init__ = begin  # type: ignore[method-assign]
    Trainer._prepare_for_training = wrap  # type: ignore[method-assign]
    Trainer.training_step = train_step  # type: ignore[method-assign]
    main()
