"""The loss of step targets, and the batches it is computed on.

Shapes: B examples of S tokens, 2 classes (0 bad, 1 good).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from factory.training.examples import Example
from factory.training.settings import MEAN_SQUARED_ERROR

BAD, GOOD = 0, 1
LABEL_NAMES = {BAD: "bad", GOOD: "good"}


def step_loss(logits_BS2: Tensor, good_BS: Tensor, bad_BS: Tensor, loss: str) -> Tensor:
    """The sum over all steps, to be divided by the sum of `good_BS` and `bad_BS`.

    "ce": -[a log P + b log(1 - P)] with P the softmax probability of GOOD. "mse": (a + b) times
    the square of P - a / (a + b), the loss of arXiv 2501.07301 for soft labels. In float32 whatever
    the model's type is; tokens without mass give nothing, not even a gradient of NaN.
    """
    mass_BS = good_BS + bad_BS
    is_step_BS = mass_BS > 0
    log_p_N2 = log_softmax(logits_BS2[is_step_BS].float(), dim=-1)
    good_N, mass_N = good_BS[is_step_BS], mass_BS[is_step_BS]
    if loss == MEAN_SQUARED_ERROR:
        return (mass_N * (log_p_N2[:, GOOD].exp() - good_N / mass_N) ** 2).sum()
    return -(good_N * log_p_N2[:, GOOD] + (mass_N - good_N) * log_p_N2[:, BAD]).sum()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collator:
    """Pads examples on the right and puts each step's masses on its separator."""

    pad_id: int
    multiple_of: int = 8
    """S is rounded up to this: tensor cores like it."""

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """`input_ids` and `attention_mask` of B x S, `good` and `bad` of B x S in float32."""
        longest = max(len(example["input_ids"]) for example in examples)
        shape = (len(examples), -(-longest // self.multiple_of) * self.multiple_of)
        batch = {
            "input_ids": torch.full(shape, self.pad_id),
            "attention_mask": torch.zeros(shape, dtype=torch.long),
            "good": torch.zeros(shape),
            "bad": torch.zeros(shape),
        }
        for row, example in enumerate(examples):
            length = len(example["input_ids"])
            batch["input_ids"][row, :length] = torch.tensor(example["input_ids"])
            batch["attention_mask"][row, :length] = 1
            for name in ("good", "bad"):
                masses = torch.tensor(example[name])
                batch[name][row, torch.tensor(example["positions"])] = masses
        return batch
