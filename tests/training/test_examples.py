"""Nothing is cut or dropped without being counted."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from factory.errors import InputError
from factory.toy import MODEL_DIR
from factory.training.examples import (
    HAS_SEPARATOR,
    NOTHING_TO_LEARN,
    TOO_LONG,
    Example,
    ExampleMaker,
    Tally,
)
from factory.training.layouts import Layout
from factory.training.settings import TrainSettings

ROW = {"prompt": "Add 1.", "completions": ["1 + 1 = 2."] * 4, "labels": [True] * 4}


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(MODEL_DIR)


def made(
    tokenizer: PreTrainedTokenizerBase, row: dict[str, Any], max_length: int = 512, **given: Any
) -> tuple[Example | None, Tally]:
    settings = TrainSettings(data="d", model="m", out=Path("o"), **given).with_schedule(None)
    tally = Tally()
    make = ExampleMaker(
        tokenizer=tokenizer, layout=Layout(), settings=settings, max_length=max_length
    )
    return make(row, tally), tally


def lengths(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    return [
        len(Layout().encode(tokenizer, "Add 1.", ["1 + 1 = 2."] * n).input_ids) for n in range(1, 5)
    ]


def test_a_long_example_is_cut_after_its_last_step_that_fits(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    for num_steps, length in enumerate(lengths(tokenizer), 1):
        for max_length in (length, length + 1):
            example, tally = made(tokenizer, ROW, max_length)
            assert example is not None
            assert (len(example["input_ids"]), len(example["positions"])) == (length, num_steps)
            assert tally.num_steps == num_steps
            assert tally.num_truncated == (num_steps < 4)
            assert tally.masked == ({TOO_LONG: 4 - num_steps} if num_steps < 4 else {})


def test_what_fits_not_even_one_step_is_dropped(tokenizer: PreTrainedTokenizerBase) -> None:
    example, tally = made(tokenizer, ROW, lengths(tokenizer)[0] - 1)
    assert example is None
    assert (tally.dropped, tally.num_examples, tally.num_truncated) == ({TOO_LONG: 1}, 0, 0)
    unlabelled = ROW | {"labels": [None, None, None, True]}
    assert made(tokenizer, unlabelled, lengths(tokenizer)[2])[1].dropped == {TOO_LONG: 1}


def test_long_examples_are_dropped_or_refused_if_asked(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    longest = lengths(tokenizer)[-1]
    assert made(tokenizer, ROW, longest - 1, too_long="drop")[1].dropped == {TOO_LONG: 1}
    assert made(tokenizer, ROW, longest, too_long="drop")[0] is not None
    with pytest.raises(InputError, match=f"row 1 of the data has {longest} tokens"):
        made(tokenizer, ROW, longest - 1, too_long="error")


def test_steps_behind_the_last_target_are_left_out(tokenizer: PreTrainedTokenizerBase) -> None:
    example, tally = made(tokenizer, ROW | {"labels": [True, False, True, True]})
    assert example is not None
    assert (example["good"], example["bad"]) == ([1, 0], [0, 1])
    assert len(example["input_ids"]) == lengths(tokenizer)[1]
    assert (tally.num_steps, tally.mass_good, tally.mass_bad) == (2, 1, 1)


def test_rows_that_teach_nothing_are_counted(tokenizer: PreTrainedTokenizerBase) -> None:
    assert made(tokenizer, ROW | {"labels": [None] * 4})[1].dropped == {NOTHING_TO_LEARN: 1}
    hostile = ROW | {"completions": ["<extra_0>"] * 4}
    assert made(tokenizer, hostile)[1].dropped == {HAS_SEPARATOR: 1}


def test_a_broken_row_is_named(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(InputError, match="row 1 of the data: 2 labels for 4 steps"):
        made(tokenizer, ROW | {"labels": [True, True]})
