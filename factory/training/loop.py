"""What both trainers do alike: their order of the examples, and a stop where a run diverges."""

from typing import Any

from datasets import Dataset
from transformers import Trainer, TrainerCallback

from factory.errors import InputError
from factory.training.divergence import check_step
from factory.training.settings import TrainSettings
from factory.training.training_sets import LengthSampler, length_sampler


class OrderedTrainer(Trainer):
    """Takes the examples in the order of a `LengthSampler`, also resumed within a pass."""

    def __init__(self, *, settings: TrainSettings, **others: Any) -> None:
        self._settings = settings
        super().__init__(**others)
        self.add_callback(_Begin())

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        check_step(self, norm, self._settings)
        return norm

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthSampler | None:
        """`None` for a stream.

        accelerate tells a sampler its pass only where at most one loader lies around its batches;
        several processes that skip what was learnt before have two.
        """
        dataset = self.train_dataset if train_dataset is None else train_dataset
        if not isinstance(dataset, Dataset):
            return None
        order = length_sampler(dataset, self._settings, self.accelerator.num_processes)
        self.add_callback(_TellPass(order))
        return order


class _Begin(TrainerCallback):  # type: ignore[misc]
    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """A resumed run saves as often as it is told to, not as the interrupted one did. Raises
        InputError for a warm-up that never ends."""
        state.save_steps = args.save_steps
        if args.warmup_steps >= state.max_steps:
            raise InputError(
                f"--warmup-steps {args.warmup_steps} would not end within the run's "
                f"{state.max_steps:,} steps: give fewer"
            )


class _TellPass(TrainerCallback):  # type: ignore[misc]
    def __init__(self, order: LengthSampler) -> None:
        self._order = order

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self._order.set_epoch(int(state.epoch or 0))
