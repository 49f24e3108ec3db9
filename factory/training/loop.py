"""What both trainers do alike: their order of the examples, and a stop where a run diverges."""

from itertools import islice
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from factory.training.divergence import check_step
from factory.training.prm_file import PrmFile, write_prm_file
from factory.training.settings import TrainSettings
from factory.training.training_sets import LengthSampler, length_sampler


class OrderedTrainer(Trainer):
    """Takes the examples in the order of a `LengthSampler`, also resumed within a pass."""

    def __init__(self, *, settings: TrainSettings, prm: PrmFile, **others: Any) -> None:
        self._settings = settings
        super().__init__(**others)
        self.add_callback(_AsToldNow())
        self.add_callback(_Described(prm))

    def _run_epoch(self, *, train_dataloader: Any, **others: Any) -> None:
        """A run that ended behind its last step has nothing left to learn, and transformers would
        take one step more. Of a stream what was learnt is read again, for its counts."""
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(train_dataloader=train_dataloader, **others)
            return
        self.control.should_training_stop = True
        if not isinstance(self.train_dataset, Dataset):
            num = self.state.max_steps * self.args.gradient_accumulation_steps
            for _ in islice(train_dataloader, num):
                pass

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


class _AsToldNow(TrainerCallback):  # type: ignore[misc]
    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """A resumed run saves as often as it is told to, not as the interrupted one did."""
        state.save_steps = args.save_steps


class _Described(TrainerCallback):  # type: ignore[misc]
    """A checkpoint is read, and trained on, as the model at the end."""

    def __init__(self, prm: PrmFile) -> None:
        self._prm = prm

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.is_world_process_zero:
            folder = Path(args.output_dir, f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}")
            write_prm_file(folder, self._prm)


class _TellPass(TrainerCallback):  # type: ignore[misc]
    def __init__(self, order: LengthSampler) -> None:
        self._order = order

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self._order.set_epoch(int(state.epoch or 0))
