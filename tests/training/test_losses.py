"""The loss is what the formulas say, and sits on the separators."""

from math import exp, log
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from factory.toy import MODEL_DIR
from factory.training.examples import Example, ExampleMaker, Tally
from factory.training.layouts import layout_named
from factory.training.losses import Collator, step_loss
from factory.training.settings import TrainSettings

LOGITS = torch.tensor([[[0.3, -0.2], [1.0, 2.0], [0.0, 0.5], [9.0, 9.0]]])


def probability(position: int) -> float:
    bad, good = LOGITS[0, position].tolist()
    return 1 / (1 + exp(bad - good))


def masses(*pairs: tuple[float, float]) -> tuple[torch.Tensor, torch.Tensor]:
    good, bad = zip(*pairs, strict=True)
    return torch.tensor([good]), torch.tensor([bad])


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (((1, 0), (0, 1), (0, 0), (0, 0)), -log(probability(0)) - log(1 - probability(1))),
        (
            ((0.25, 0.75), (0, 0), (0, 0), (0, 0)),
            -0.25 * log(probability(0)) - 0.75 * log(1 - probability(0)),
        ),
        (
            ((0, 0), (5, 3), (0, 8), (0, 0)),
            -5 * log(probability(1)) - 3 * log(1 - probability(1)) - 8 * log(1 - probability(2)),
        ),
        (((0, 0), (0, 0), (0, 0), (0, 0)), 0.0),
    ],
    ids=["hard", "soft", "counts", "nothing"],
)
def test_cross_entropy_is_the_likelihood_of_the_masses(
    pairs: tuple[tuple[float, float], ...], expected: float
) -> None:
    assert step_loss(LOGITS, *masses(*pairs), "ce").item() == pytest.approx(expected, abs=1e-5)


def test_squared_error_is_that_of_the_probability() -> None:
    pairs = masses((0.25, 0.75), (2.0, 0.0), (0, 0), (0, 0))
    expected = (probability(0) - 0.25) ** 2 + 2 * (probability(1) - 1) ** 2
    assert step_loss(LOGITS, *pairs, "mse").item() == pytest.approx(expected, abs=1e-6)


def test_counts_at_equal_numbers_have_the_gradient_of_soft_labels() -> None:
    gradients = []
    for n in (1.0, 8.0):
        logits = LOGITS.clone().requires_grad_()
        good, bad = masses((0.25 * n, 0.75 * n), (n, 0), (0, 0), (0, n))
        (step_loss(logits, good, bad, "ce") / (good + bad).sum()).backward()
        gradients.append(logits.grad)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6)


@pytest.mark.parametrize("loss", ["ce", "mse"])
def test_tokens_without_mass_get_no_gradient_even_from_broken_logits(loss: str) -> None:
    logits = LOGITS.clone()
    logits[0, 3] = float("inf")
    logits.requires_grad_()
    step_loss(logits, *masses((1, 0), (0, 0), (0.5, 0.5), (0, 0)), loss).backward()
    assert logits.grad is not None
    touched = logits.grad[0].abs().sum(dim=-1) > 0
    assert touched.tolist() == [True, False, True, False]


@pytest.mark.parametrize("name", ["extra_0", "trl"])
def test_the_batch_has_each_label_on_the_separator_of_its_step(name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    settings = TrainSettings(data="d", model="m", out=Path("o"), after_error="keep")
    make = ExampleMaker(
        tokenizer=tokenizer,
        layout=layout_named(name),
        settings=settings.with_schedule(None),
        max_length=512,
    )
    steps = ["3 + 4 = 7.", "Then 7 * 2 = 15.", "So it is 15."]
    rows = [
        {"prompt": "Add 3 and 4.", "completions": steps, "labels": [True, False, None]},
        {"prompt": "Start with 1.", "completions": steps[:1], "labels": [False]},
    ]
    examples = [example for row in rows if (example := make(row, Tally()))]
    batch = Collator(pad_id=0)(examples)
    assert batch["input_ids"].shape[1] % 8 == 0
    separator = layout_named(name).separator
    found = [
        [
            (tokenizer.decode(ids[: i + 1]).endswith(f"{step}{separator}"), good[i], bad[i])
            for i, step in zip((good + bad).nonzero().flatten(), steps, strict=False)
        ]
        for ids, good, bad in zip(batch["input_ids"], batch["good"], batch["bad"], strict=True)
    ]
    assert found == [[(True, 1, 0), (True, 0, 1)], [(True, 0, 1)]]
    assert batch["attention_mask"].sum(dim=1).tolist() == [len(e["input_ids"]) for e in examples]


def test_shorter_examples_are_padded_on_the_right() -> None:
    long = Example(input_ids=[5, 6, 7], positions=[2], good=[0.5], bad=[0.5])
    short = Example(input_ids=[8], positions=[0], good=[0.0], bad=[1.0])
    batch = Collator(pad_id=9, multiple_of=1)([long, short])
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["good"].tolist() == [[0, 0, 0.5], [0, 0, 0]]
    assert batch["bad"].tolist() == [[0, 0, 0.5], [1, 0, 0]]
