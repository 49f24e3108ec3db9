"""The forms without code: one decision per step, or one index for all."""

import random

import pytest

from factory.core.teachers import form as reasons
from factory.core.teachers.form import Form, Reading, reading_at
from factory.core.teachers.genprm import GenPrmForm
from factory.core.teachers.judge import JUDGE, PROCESS_BENCH
from factory.core.teachers.thinkprm import ThinkPrmForm, cut_after_last_decision

THINK = ThinkPrmForm()
FORMS: tuple[Form, ...] = (THINK, JUDGE, PROCESS_BENCH, GenPrmForm())


def chain(*decisions: str) -> str:
    lines = (f"Step {i}: Hm. The step is \\boxed{{{d}}}" for i, d in enumerate(decisions, 1))
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "num_steps", "verdicts"),
    [
        (chain("correct"), 1, (True,)),
        (chain("correct", "correct", "correct"), 3, (True, True, True)),
        (chain("correct", "incorrect"), 3, (True, False)),
        (chain("incorrect", "incorrect", "correct"), 3, (False,)),
        (chain("Correct", "\\text{Incorrect}"), 2, (True, False)),
        (chain("correct").replace("Step 1:", "**Step 1:**"), 1, (True,)),
        ("Step 1: \\boxed{incorrect}? Wait, no. \\boxed{correct}", 1, (True,)),
        ("Step 1: 22.\nStep 1: It is \\boxed{correct}.", 1, (True,)),
        ("\\boxed{correct} and then \\boxed{incorrect}", 2, (True, False)),
        ("Let me see. \\boxed{correct}\n" + chain("incorrect"), 1, (False,)),
        (chain("incorrect") + "</think>" + chain("correct"), 1, (True,)),
        ("步骤一\n" + chain("correct"), 1, (True,)),
    ],
)
def test_a_chain_decides_up_to_the_first_incorrect_step(
    text: str, num_steps: int, verdicts: tuple[bool, ...]
) -> None:
    assert THINK.read(text, num_steps) == Reading(verdicts=verdicts)


@pytest.mark.parametrize(
    ("text", "num_steps", "reason"),
    [
        ("", 1, reasons.EMPTY),
        ("Step 1: fine.", 1, reasons.NO_JUDGEMENT),
        ("All correct!", 1, reasons.NO_JUDGEMENT),
        (chain("correct"), 2, reasons.INCOMPLETE),
        (chain("correct", "perhaps", "correct"), 3, reasons.STEP_UNJUDGED),
        (chain("correct", "correct"), 1, reasons.TOO_MANY),
        (chain("correct") + "\n" + chain("correct"), 2, reasons.OUT_OF_ORDER),
        ("Step 2: \\boxed{correct}", 2, reasons.OUT_OF_ORDER),
    ],
)
def test_a_chain_that_cannot_be_read_says_why(text: str, num_steps: int, reason: str) -> None:
    assert THINK.read(text, num_steps) == Reading(reason=reason)


def test_a_chain_is_cut_after_its_last_decision() -> None:
    assert cut_after_last_decision(chain("correct", "correct") + ".\nSo be it.") == (
        chain("correct", "correct") + "."
    )
    assert cut_after_last_decision(chain("correct", "incorrect", "correct")) == (
        chain("correct", "incorrect")
    )
    assert cut_after_last_decision("nothing") == cut_after_last_decision("") == ""


@pytest.mark.parametrize("form", [JUDGE, PROCESS_BENCH])
@pytest.mark.parametrize(
    ("text", "num_steps", "expected"),
    [
        ("\\boxed{-1}", 3, reading_at(None, 3)),
        ("It is \\boxed{1} or \\boxed{ 2 }.", 3, reading_at(2, 3)),
        ("$\\boxed{\\text{0}}$", 3, reading_at(0, 3)),
        ("\\boxed{<paragraph_1>}", 3, reading_at(1, 3)),
        ("\\boxed{1} since \\boxed{x = 7}", 3, reading_at(1, 3)),
        ("<think>\\boxed{2}</think>\\boxed{-1}", 3, reading_at(None, 3)),
        ("\\boxed{-1}", 0, Reading()),
        ("\\boxed{3}", 3, Reading(reason=reasons.OUT_OF_RANGE)),
        ("\\boxed{-2}", 3, Reading(reason=reasons.OUT_OF_RANGE)),
        ("paragraph 1", 3, Reading(reason=reasons.NO_JUDGEMENT)),
        ("第 1 段", 3, Reading(reason=reasons.NO_JUDGEMENT)),
        ("\n", 3, Reading(reason=reasons.EMPTY)),
    ],
)
def test_a_judges_last_boxed_integer_counts(
    form: Form, text: str, num_steps: int, expected: Reading
) -> None:
    assert form.read(text, num_steps) == expected


def test_judges_count_paragraphs_from_zero() -> None:
    shown = PROCESS_BENCH.prompt("Q?", ["a {step}\n", "b"]).messages[-1].content
    assert shown.endswith(
        "Q?\n\nSolution:\n<paragraph_0>\na {step}\n</paragraph_0>\n\n"
        "<paragraph_1>\nb\n</paragraph_1>"
    )
    assert JUDGE.prompt("Q?", ["a", "b"]).messages[-1].content.endswith("[0] a\n\n[1] b")


def test_a_chains_prompt_has_one_step_to_a_line() -> None:
    shown = THINK.prompt("Q?", ["a\n\n", "b"]).messages[-1].content
    assert shown.endswith("Problem:\nQ?\n\nSolution:\nStep 1: a\nStep 2: b")


@pytest.mark.parametrize("form", [THINK, JUDGE, PROCESS_BENCH])
def test_forms_without_code_never_pause(form: Form) -> None:
    assert (form.stop, form.runs_code, form.code_end, form.section_end) == ((), False, None, None)
    assert form.open_code("```python\nx") is None
    assert form.code_blocks("```python\nx\n```") == ()
    assert form.with_output("x", "y") == "x"
    assert form.section_problem("", step=0, num_executed=0) is None
    assert form.max_code_blocks == 0


PIECES = (
    "Step 1:", "\nStep 2:", "step ", "\\boxed{correct}", "\\boxed{incorrect}", "\\boxed{", "}",
    "\\boxed{0}", "\\boxed{-1}", "\n", " ", "*", "<think>", "</think>", "\ud800", "²", "مرحبا",
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(100))
def test_no_text_at_all_raises_in_any_form(form: Form, seed: int) -> None:
    rng = random.Random(seed)
    num_steps = rng.randrange(4)
    reading = form.read("".join(rng.choices(PIECES, k=rng.randrange(40))), num_steps)
    assert len(reading.verdicts) <= num_steps
    if reading.reason is None and reading.first_error is None:
        assert reading.verdicts == (True,) * num_steps


@pytest.mark.parametrize(
    "piece", ["Step 1:", "\nStep 2:", "\\boxed{", "\\boxed{0}", "\\boxed{correct", " "]
)
def test_a_megabyte_of_anything_is_read_without_code(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    assert THINK.read(text, 3).reason in (reasons.NO_JUDGEMENT, reasons.OUT_OF_ORDER, reasons.EMPTY)
    assert JUDGE.read(text, 0).verdicts == ()
    assert cut_after_last_decision(text) == ""


def test_impossible_readings_are_refused() -> None:
    with pytest.raises(ValueError, match="unreadable: empty"):
        Reading(verdicts=(True,), reason=reasons.EMPTY)
    with pytest.raises(ValueError, match="after the first bad step"):
        Reading(verdicts=(False, True))
    assert reading_at(1, 3) == Reading(verdicts=(True, False))
    assert Reading(verdicts=(True, False)).first_error == 1
    assert Reading(verdicts=(True,)).first_error is Reading(reason="x").first_error is None
