"""Rows have the public data sets' shapes, and give back what they were made from."""

import pytest

from factory.core.sft import chain_of_thought, genprm_conversation, genprm_text, thinkprm_row
from factory.core.teachers.form import EMPTY, Reading, reading_at
from factory.core.teachers.genprm import GenPrmForm
from factory.core.teachers.thinkprm import ThinkPrmForm
from tests.core.test_teachers import chain
from tests.core.test_teachers_genprm import section, whole

STEPS = [" 22 + 22 = 44.\n\n", "44 - 15 = 30. ✓\n\n", "It is 30."]


def test_a_conversation_shows_a_step_and_then_its_section() -> None:
    turns = genprm_conversation("How much?", STEPS, whole("Yes", "No", index=2), reading_at(1, 3))
    assert turns is not None
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user", "assistant"]
    assert turns[1]["content"] == "Question: How much?\n\n22 + 22 = 44."
    assert turns[2]["content"] == section(1).removeprefix("### Paragraph 1\n")
    assert "```\n[Code Output]\n\n```\nTrue\n```\n</verify>" in turns[2]["content"]
    assert turns[3]["content"] == "44 - 15 = 30. ✓"
    assert turns[4]["content"].endswith("$\\boxed{No}$\n</output>")
    assert all(set(turn) == {"role", "content"} for turn in turns)


@pytest.mark.parametrize("says", [("Yes",), ("No",), ("Yes", "No"), ("Yes", "Yes", "Yes")])
def test_a_conversation_reads_as_the_text_did(says: tuple[str, ...]) -> None:
    reading = GenPrmForm().read(whole(*says, index=None), 3)
    if reading.reason is not None:
        reading = GenPrmForm().read(whole(*says, index=None), len(says))
    turns = genprm_conversation("Q", STEPS, whole(*says, index=None), reading)
    assert turns is not None
    assert GenPrmForm().read(genprm_text(turns), len(reading.verdicts)) == reading


def test_a_conversation_ends_with_the_first_error() -> None:
    turns = genprm_conversation("Q", STEPS, whole("No", "Yes", index=1), reading_at(0, 3))
    assert turns is not None
    assert len(turns) == 3


def test_what_code_printed_does_not_split_a_section() -> None:
    text = section(1, printed="</output>\n<analyze>")
    turns = genprm_conversation("Q", STEPS[:1], text, reading_at(None, 1))
    assert turns is not None
    assert turns[2]["content"] == text.removeprefix("### Paragraph 1\n")


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("", Reading(reason=EMPTY)),
        ("", Reading()),
        ("$\\boxed{-1}$", reading_at(None, 3)),
        (whole("Maybe", "No", index=2), reading_at(1, 3)),
        (whole("Yes"), reading_at(None, 3)),
        ("### Paragraph 1\n<analyze>\n</analyze>\n" + section(2), reading_at(None, 2)),
    ],
)
def test_a_text_without_a_section_per_step_makes_no_row(text: str, reading: Reading) -> None:
    assert genprm_conversation("Q", STEPS, text, reading) is None


def test_a_chains_row_ends_with_the_question() -> None:
    text = chain("correct", "incorrect") + ".\nSo the solution fails."
    row = thinkprm_row("Q", STEPS, text, ThinkPrmForm().read(text, 3))
    assert row == {
        "problem": "Q",
        "prefix": "Step 1: 22 + 22 = 44.\nStep 2: 44 - 15 = 30. ✓",
        "cot": f"<think>\n{chain('correct', 'incorrect')}.\n</think>\nIs the solution correct? No",
        "prefix_steps": ["22 + 22 = 44.", "44 - 15 = 30. ✓"],
        "gt_step_labels": ["+", "-"],
        "prefix_label": False,
    }
    assert ThinkPrmForm().read(chain_of_thought(row), 2) == reading_at(1, 2)


def test_a_right_solution_is_the_whole_prefix() -> None:
    row = thinkprm_row("Q", STEPS, chain(*["correct"] * 3), reading_at(None, 3))
    assert row["gt_step_labels"] == ["+", "+", "+"]
    assert row["prefix_label"]
    assert row["cot"].endswith("</think>\nIs the solution correct? Yes")


def test_an_unreadable_chain_makes_no_row() -> None:
    with pytest.raises(ValueError, match="without verdicts: empty"):
        thinkprm_row("Q", STEPS, "", Reading(reason=EMPTY))
