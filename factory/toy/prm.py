"""From the PRM backbone and some labelled solutions to a small PRM, in a plain torch loop.

The layout is Qwen2.5-Math-PRM's: the question is the user's turn, the steps are the assistant's
with the separator `<extra_0>` after each. Class 1 at a separator says that no step so far is false.
`fine_tuning` holds the settings; any trainer that takes them (AdamW, a rate that warms up and then
falls in a line to nothing) gets the same kind of model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch.nn import functional
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from factory.toy.prm_samples import SEPARATOR

BACKBONE_DIR = Path(__file__).parent / "prm_backbone"
GOOD = 1
NO_LABEL = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSteps:
    """A question, its steps and for each a label; None where nothing is known."""

    question: str
    steps: tuple[str, ...]
    labels: tuple[bool | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning:
    """Every weight learns; AdamW without weight decay; `batch_size` solutions a step."""

    learning_rate: float
    epochs: int
    batch_size: int = 16
    warm_up_share: float = 0.1


def fine_tuning(num_solutions: int) -> FineTuning:
    """Settings that fit a number of labelled solutions and two minutes on two cores."""
    epochs = max(2, min(6, round(1000 / max(1, num_solutions))))
    return FineTuning(learning_rate=1e-4, epochs=epochs)


def train_prm(
    rows: Sequence[LabelledSteps], settings: FineTuning, seed: int, backbone: Path = BACKBONE_DIR
) -> PreTrainedModel:
    """The backbone fine-tuned on the rows; without rows as it is."""
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    model = AutoModelForTokenClassification.from_pretrained(backbone, num_labels=2)
    encoded = [encode(tokenizer, row.question, row.steps) for row in rows]
    targets = [[NO_LABEL if x is None else int(x) for x in row.labels] for row in rows]
    order, rng = list(range(len(rows))), Random(seed)
    num_steps = settings.epochs * -(-len(rows) // settings.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.0)
    num_warm_up = settings.warm_up_share * num_steps
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / max(1.0, num_warm_up), 1 - s / max(1, num_steps))
    )
    model.train()
    for _ in range(settings.epochs):
        rng.shuffle(order)
        for start in range(0, len(order), settings.batch_size):
            chosen = order[start : start + settings.batch_size]
            logits = torch.cat(separator_logits(model, tokenizer, [encoded[i] for i in chosen]))
            labels = torch.tensor([label for i in chosen for label in targets[i]])
            loss = functional.cross_entropy(logits, labels, ignore_index=NO_LABEL)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def encode(tokenizer: PreTrainedTokenizerFast, question: str, steps: Sequence[str]) -> list[int]:
    """Token ids of the chat with one separator after every step."""
    chat = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": "".join(step + SEPARATOR for step in steps)},
    ]
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def separator_logits(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, rows: Sequence[list[int]]
) -> list[torch.Tensor]:
    """Per row (steps, 2); padding lies to the right of a causal model, so no mask is needed."""
    length = max(map(len, rows))
    ids = torch.tensor([[*row, *[tokenizer.pad_token_id] * (length - len(row))] for row in rows])
    logits = model(input_ids=ids).logits
    is_end = ids == tokenizer.convert_tokens_to_ids(SEPARATOR)
    return [logits[row, is_end[row]] for row in range(len(rows))]


def load_scorer(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, batch_size: int = 64
) -> Callable[[Sequence[tuple[str, Sequence[str]]]], list[list[float]]]:
    """Questions with their steps -> P(good) at every step."""

    @torch.inference_mode()
    def score(solutions: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
        encoded = [encode(tokenizer, question, steps) for question, steps in solutions]
        by_length = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
        scores: dict[int, list[float]] = {}
        for start in range(0, len(by_length), batch_size):
            chosen = by_length[start : start + batch_size]
            rows = separator_logits(model, tokenizer, [encoded[i] for i in chosen])
            for i, logits in zip(chosen, rows, strict=True):
                scores[i] = logits.softmax(-1)[:, GOOD].tolist()
        return [scores[i] for i in range(len(encoded))]

    return score
