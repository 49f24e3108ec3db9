"""transformers' Trainer with the loss of step targets: a sum over steps by the mass of a batch.

The mass is that of the whole batch, over accumulated micro-batches and processes, so that a step
weighs the same wherever it falls.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from factory.training.loop import OrderedTrainer
from factory.training.losses import step_loss


class PrmTrainer(OrderedTrainer):
    """Expects `input_ids`, `attention_mask`, `good` and `bad` of B x S; see `losses`."""

    def __init__(self, **others: Any) -> None:
        super().__init__(**others)
        self.loss_is_scaled_for_ga = True

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Tensor | int | None]:
        """The micro-batches of one step and, in place of their number of labels, their mass."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        mass = torch.zeros((), device=device)
        for batch in batches:
            mass += batch["good"].sum().to(device) + batch["bad"].sum().to(device)
        return batches, self.accelerator.reduce(mass, reduction="sum")

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """This micro-batch's part of the batch's mean loss.

        Times the number of processes, because their gradients are averaged and not summed.
        """
        outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        total = step_loss(outputs.logits, inputs["good"], inputs["bad"], self._settings.loss)
        mass = num_items_in_batch
        if mass is None:
            mass = inputs["good"].sum() + inputs["bad"].sum()
        loss = total / mass * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss
