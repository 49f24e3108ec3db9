"""Separators are one token, exactly one per step, and nothing else looks like one."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from factory.core.prompts import STEP_BY_STEP
from factory.errors import InputError
from factory.toy import MODEL_DIR
from factory.training.layouts import Layout, LayoutError, add_separator, layout_named

PROBLEM = "A machine starts with 22. Add 8. What comes out?"
STEPS = ("22 + 8 = 30.", "two\nlines", "The answer is: \\boxed{30}")
WITH_SYSTEM = (
    "{% for m in messages %}<|user|>{{ m['role'] }}: {{ m['content'] }}<|end|>{% endfor %}"
)


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(MODEL_DIR)


@pytest.mark.parametrize("name", ["extra_0", "trl"])
def test_each_step_ends_at_its_separator(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    layout = layout_named(name)
    encoded = layout.encode(tokenizer, PROBLEM, STEPS)
    start = 0
    for step, position in zip(STEPS, encoded.separator_positions, strict=True):
        text = tokenizer.decode(encoded.input_ids[start : position + 1])
        assert text.endswith(step + layout.separator)
        start = position + 1


@pytest.mark.parametrize("name", ["extra_0", "trl"])
def test_white_space_around_a_step_is_not_part_of_it(
    tokenizer: PreTrainedTokenizerBase, name: str
) -> None:
    """For trainer and scorer alike: both get their ids here."""
    wide = [f" {step}\n\n" for step in STEPS]
    layout = layout_named(name)
    assert layout.encode(tokenizer, PROBLEM, wide) == layout.encode(tokenizer, PROBLEM, STEPS)


def test_extra_0_is_the_chat_of_system_problem_and_steps(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    tokenizer.chat_template = WITH_SYSTEM
    text = tokenizer.decode(Layout().encode(tokenizer, PROBLEM, STEPS).input_ids)
    answer = "".join(f"{step}<extra_0>" for step in STEPS)
    turns = (f"system: {STEP_BY_STEP}", f"user: {PROBLEM}", f"assistant: {answer}")
    assert text == "".join(f"<|user|>{turn}<|end|>" for turn in turns)


def test_trl_puts_nothing_between_problem_and_first_step(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    encoded = layout_named("trl").encode(tokenizer, PROBLEM, STEPS)
    assert tokenizer.decode(encoded.input_ids) == PROBLEM + "".join(f"{s}\n" for s in STEPS)
    tokenizer.bos_token = "<|end|>"
    with_start = layout_named("trl").encode(tokenizer, PROBLEM, STEPS)
    assert with_start.input_ids == (tokenizer.bos_token_id, *encoded.input_ids)
    assert with_start.separator_positions == tuple(p + 1 for p in encoded.separator_positions)


@pytest.mark.parametrize(
    ("problem", "steps"), [("What is <extra_0>?", ("1",)), (PROBLEM, ("a<extra_0>b", "c"))]
)
def test_a_text_with_the_separator_in_it_is_refused(
    tokenizer: PreTrainedTokenizerBase, problem: str, steps: tuple[str, ...]
) -> None:
    with pytest.raises(LayoutError, match=f"{len(steps) + 1} separators for {len(steps)} steps"):
        Layout().encode(tokenizer, problem, steps)


def test_a_solution_without_steps_has_no_layout(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(LayoutError, match="without steps"):
        Layout().encode(tokenizer, PROBLEM, ())


def test_a_separator_of_several_tokens_is_refused_until_it_is_added(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    layout = layout_named("extra_0", separator="<ки>")
    with pytest.raises(InputError, match="tokens for this tokenizer"):
        layout.separator_id(tokenizer)
    before = tokenizer.all_special_tokens
    assert add_separator(tokenizer, layout)
    assert not add_separator(tokenizer, layout)
    assert layout.separator_id(tokenizer) == len(tokenizer) - 1
    assert set(before) <= set(tokenizer.all_special_tokens)
    assert tokenizer.decode([len(tokenizer) - 1], skip_special_tokens=True) == ""
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert layout.encode(again, PROBLEM, STEPS) == layout.encode(tokenizer, PROBLEM, STEPS)


def test_a_separator_that_merges_with_its_neighbours_is_refused(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """ "The" is one token by itself, and a part of other words between them."""
    assert len(tokenizer("The", add_special_tokens=False)["input_ids"]) == 1
    with pytest.raises(InputError, match="merges with the text"):
        layout_named("extra_0", separator="The").separator_id(tokenizer)


def test_unknown_layouts_and_missing_chat_templates_say_what_to_do(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    with pytest.raises(InputError, match="no layout 'step': there are extra_0, trl"):
        layout_named("step")
    tokenizer.chat_template = None
    with pytest.raises(InputError, match="--layout trl"):
        Layout().encode(tokenizer, PROBLEM, STEPS)


def test_a_template_that_refuses_a_system_text_says_so(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    refuse = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    tokenizer.chat_template = refuse + WITH_SYSTEM
    with pytest.raises(InputError, match="--system ''"):
        Layout().encode(tokenizer, PROBLEM, STEPS)
    assert layout_named("extra_0", system=None).encode(tokenizer, PROBLEM, STEPS)
