"""The order of the examples over passes, in a run that is resumed within one too."""

from typing import Any

from transformers import Trainer, TrainerCallback

from factory.training.settings import TrainSettings
from factory.training.training_sets import LengthSampler, length_sampler


def order_for(trainer: Trainer, dataset: Any, settings: TrainSettings) -> LengthSampler:
    """The order that the trainer keeps to, told of every pass.

    accelerate tells a sampler only where at most one loader lies around its batches; several
    processes that skip what was learnt before have two.
    """
    order = length_sampler(dataset, settings, trainer.accelerator.num_processes)
    trainer.add_callback(_TellPass(order))
    return order


class _TellPass(TrainerCallback):  # type: ignore[misc]
    def __init__(self, order: LengthSampler) -> None:
        self._order = order

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self._order.set_epoch(int(state.epoch or 0))
