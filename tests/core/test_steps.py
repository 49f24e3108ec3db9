"""Splitting into steps loses nothing and finds the steps that a reader sees."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.core.steps import StepStyle, split_steps

TEXTS = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            ["Step 1: a", "Step 2", "### Step 3", "\n", "\r\n", "\n\n", " ", "x", "\u2028"]
        )
    ).map("".join),
)


@given(TEXTS, st.sampled_from(StepStyle))
def test_steps_join_to_the_text_and_none_is_blank(text: str, style: StepStyle) -> None:
    steps = split_steps(text, style)
    assert "".join(steps) == (text if text.strip() else "")
    assert all(step.strip() for step in steps)


@given(TEXTS, st.sampled_from(StepStyle))
def test_the_line_breaks_between_two_steps_end_the_first(text: str, style: StepStyle) -> None:
    steps = split_steps(text, style)
    assert all(step.endswith("\n") for step in steps[:-1])
    assert all("\n" not in step[: -len(step.lstrip())] for step in steps[1:])


@pytest.mark.parametrize(
    ("style", "text", "steps"),
    [
        (StepStyle.LINE, "a\n  b\n \t\n\tc", ["a\n", "  b\n \t\n", "\tc"]),
        (StepStyle.BLANK_LINE, "a\n  b\n\n \n    c", ["a\n  b\n\n \n", "    c"]),
        (StepStyle.NUMBERED, "Step 1\n  Step 2\n\tStep 3", ["Step 1\n", "  Step 2\n", "\tStep 3"]),
    ],
)
def test_indentation_begins_the_next_step(style: StepStyle, text: str, steps: list[str]) -> None:
    """A prefix that ended in it lost the token of " b" to " " and "b"."""
    assert list(split_steps(text, style)) == steps


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\r\n\t"])
@pytest.mark.parametrize("style", StepStyle)
def test_blank_text_has_no_steps(text: str, style: StepStyle) -> None:
    assert split_steps(text, style) == ()


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("one thought", ["one thought"]),
        ("a\nb\nc", ["a\n", "b\n", "c"]),
        ("a\nb\n\nc", ["a\nb\n\n", "c"]),
        ("a\nb\n\n", ["a\n", "b\n\n"]),
        ("\n\na\nb", ["\n\na\n", "b"]),
        ("a\r\nb\r\n\r\nc", ["a\r\nb\r\n\r\n", "c"]),
        ("Step 1: a\n\nmore\nStep 2: b", ["Step 1: a\n\nmore\n", "Step 2: b"]),
        ("We go.\nStep 1: a\nStep 2: b", ["We go.\nStep 1: a\n", "Step 2: b"]),
        ("Step 1: only\nand on", ["Step 1: only\n", "and on"]),
        ("**Step 1:** a\n**Step 2:** b", ["**Step 1:** a\n", "**Step 2:** b"]),
        ("### **Step 1** a\n### **Step 2** b", ["### **Step 1** a\n", "### **Step 2** b"]),
        ("## Step 1\na\n## Step 2\nb", ["## Step 1\na\n", "## Step 2\nb"]),
        ("step 1: a\n  STEP 2: b", ["step 1: a\n", "  STEP 2: b"]),
        ("Stepping 1\nStep one\nStep 1st", ["Stepping 1\n", "Step one\n", "Step 1st"]),
        ("数え\n\n答え", ["数え\n\n", "答え"]),
        ("a\n\n```\nx = 1\n\n\ny = 2\n```", ["a\n\n", "```\nx = 1\n\n\n", "y = 2\n```"]),
    ],
)
def test_the_style_that_the_text_shows_is_used(text: str, steps: list[str]) -> None:
    assert list(split_steps(text)) == steps


@pytest.mark.parametrize(
    ("style", "num_steps"),
    [(StepStyle.NUMBERED, 2), (StepStyle.BLANK_LINE, 3), (StepStyle.LINE, 4)],
)
def test_a_style_can_be_forced(style: StepStyle, num_steps: int) -> None:
    assert len(split_steps("Step 1: a\n\nb\n\nc\nStep 2: d", style)) == num_steps


def test_what_precedes_the_only_numbered_step_is_part_of_it() -> None:
    assert split_steps("We go.\nStep 1: a\nb", StepStyle.NUMBERED) == ("We go.\nStep 1: a\nb",)


@pytest.mark.parametrize(
    "unit", ["Step 1: a line\n\nb\n", "\n", "x\n  ", "\n  ", "#", " ", "\\n\r\n"]
)
@pytest.mark.parametrize("style", StepStyle)
def test_a_megabyte_is_split_within_seconds(unit: str, style: StepStyle) -> None:
    """Once every cut copied the text on both sides of it: minutes."""
    text = unit * (1_000_000 // len(unit)) + "x"
    started_s = time.perf_counter()
    assert "".join(split_steps(text, style)) == text
    assert time.perf_counter() - started_s < 5
