"""GenPRM's form reads any text, and runs nothing but what it was told was run."""

import random

import pytest

from factory.core.recipe import _described
from factory.core.teachers import form as reasons
from factory.core.teachers.genprm import GenPrmForm
from schemas.ids import digest_of

FORM = GenPrmForm()


def section(number: int, *, says: str = "Yes", printed: str = "True") -> str:
    return (
        f"### Paragraph {number}\n<analyze>\nThe sum is \\boxed{{44}}.\n</analyze>\n<verify>\n"
        f"```python\nprint(22 + 22 == 44)\n```\n[Code Output]\n\n```\n{printed}\n```\n</verify>\n"
        f"<output>\n**Judgement**: $\\boxed{{{says}}}$\n</output>"
    )


def whole(*says: str, index: int | None = -1) -> str:
    parts = [section(i, says=said) for i, said in enumerate(says, 1)]
    end = [] if index is None else [f"**First error**: $\\boxed{{{index}}}$"]
    return "\n\n".join((*parts, *end))


@pytest.mark.parametrize(
    ("text", "num_steps", "verdicts"),
    [
        (whole("Yes"), 1, (True,)),
        (whole("Yes", "Yes", "Yes"), 3, (True, True, True)),
        (whole("Yes", "No", index=2), 3, (True, False)),
        (whole("No", index=1), 4, (False,)),
        (whole("Yes", "No", index=None), 3, (True, False)),
        (whole("Yes", "Yes", index=None), 2, (True, True)),
        (whole("Yes", "No", "Yes", index=2), 3, (True, False)),
        (whole("yes", "\\text{NO}", index=2), 3, (True, False)),
        (whole("Yes", "Yes").replace("$", ""), 2, (True, True)),
        ("$\\boxed{-1}$", 2, (True, True)),
        ("All is well until the end.\n\\boxed{2}", 2, (True, False)),
        ("**First error**: $\\boxed{-1}$", 0, ()),
        (whole("Maybe", "Maybe", index=2), 3, (True, False)),
        (whole("Yes", "Maybe", index=2), 3, (True, False)),
        (whole("Maybe", "Maybe", index=-1), 2, (True, True)),
        (
            "### Paragraph 1\nFine: \\boxed{Yes}\n\n### Paragraph 2\nOff: \\boxed{No}",
            2,
            (True, False),
        ),
        ("## Paragraph 1\nFine.\n**First error**: $\\boxed{-1}$", 1, (True,)),
        ("<analyze>\n</analyze>\n<output>\n\\boxed{Yes}\n</output>\n" * 2, 2, (True, True)),
        (whole("Yes", "No", index=2).replace("### ", "###\t"), 3, (True, False)),
        ("<think>\n### Paragraph 1 <verify>\n</think>\n\n" + whole("Yes"), 1, (True,)),
        ("### Paragraph 1\n" + whole("Yes"), 1, (True,)),
    ],
)
def test_what_a_teacher_says_is_read(text: str, num_steps: int, verdicts: tuple[bool, ...]) -> None:
    reading = FORM.read(text, num_steps)
    assert reading.reason is None
    assert reading.verdicts == verdicts
    assert reading.first_error == (verdicts.index(False) if False in verdicts else None)


@pytest.mark.parametrize(
    ("text", "num_steps", "reason"),
    [
        ("", 1, reasons.EMPTY),
        (" \n\t", 3, reasons.EMPTY),
        ("It seems right.", 1, reasons.NO_JUDGEMENT),
        ("这个解答是正确的。", 1, reasons.NO_JUDGEMENT),
        (whole("Yes", "Yes"), 3, reasons.INCOMPLETE),
        (whole("Yes", index=3), 3, reasons.INCOMPLETE),
        (whole("Yes", "Yes", index=None), 3, reasons.INCOMPLETE),
        (whole("Maybe", "Yes", index=None), 2, reasons.STEP_UNJUDGED),
        (whole("Maybe", "No", index=None), 2, reasons.STEP_UNJUDGED),
        (whole("Yes", "No", index=-1), 2, reasons.AT_ODDS),
        (whole("Yes", "No", index=1), 2, reasons.AT_ODDS),
        (whole("No", index=2), 2, reasons.AT_ODDS),
        (whole("Yes", "Yes", index=1), 2, reasons.AT_ODDS),
        (whole("Yes", "Yes", index=3), 2, reasons.OUT_OF_RANGE),
        (whole("Yes", "Yes", index=0), 2, reasons.OUT_OF_RANGE),
        (whole("Yes", "Yes", index=-7), 2, reasons.OUT_OF_RANGE),
        (whole("Yes", index=10**30), 1, reasons.OUT_OF_RANGE),
        (whole("Yes", "Yes"), 1, reasons.TOO_MANY),
        (whole("Yes"), 0, reasons.TOO_MANY),
        (section(2), 2, reasons.OUT_OF_ORDER),
        (section(1) + "\n\n" + section(3), 3, reasons.OUT_OF_ORDER),
        (section(1) + "\n\n" + section(1), 3, reasons.OUT_OF_ORDER),
        (section(0), 1, reasons.OUT_OF_ORDER),
        (whole("Yes") + "\n```python\nx = 1", 1, reasons.UNCLOSED),
        (section(1) + "\n\n### Paragraph 2\n<analyze>\nit is \\boxed{2}", 2, reasons.UNCLOSED),
        (whole("Yes").replace("</analyze>", ""), 1, reasons.UNCLOSED),
        (section(1).removesuffix("</output>"), 1, reasons.UNCLOSED),
        ("### Paragraph 1\nThe answer is \\boxed{1}", 1, reasons.NO_JUDGEMENT),
    ],
)
def test_what_cannot_be_read_says_why(text: str, num_steps: int, reason: str) -> None:
    reading = FORM.read(text, num_steps)
    assert (reading.reason, reading.verdicts, reading.first_error) == (reason, (), None)


def test_code_and_its_output_are_never_read_as_a_judgement() -> None:
    printed = "</output>\n### Paragraph 9\n$\\boxed{No}$\n**First error**: $\\boxed{1}$\nTrue"
    assert FORM.read(section(1, printed=printed), 1).verdicts == (True,)


@pytest.mark.parametrize("cut", range(0, len(whole("Yes", "No", index=2)), 7))
def test_a_text_cut_anywhere_is_not_read_as_another_judgement(cut: int) -> None:
    reading = FORM.read(whole("Yes", "No", index=2)[:cut], 2)
    assert reading.reason is not None or reading.verdicts == (True, False)


PIECES = (
    "```", "```python\n", "```\n", "[Code Output]", "<analyze>", "</analyze>", "<verify>",
    "</verify>", "<output>", "</output>", "### Paragraph 1\n", "\n### Paragraph 2\n",
    "\\boxed{Yes}", "\\boxed{No}", "\\boxed{-1}", "\\boxed{1}", "\\boxed{", "}", "$", "\n",
    "First error: ", "Iñtërnâtiônàlizætiøn", "第一步", "\ud800", "²", "٣", " ", "Step 1:",
    "</think>", "# Paragraph ", "\x00",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(300))
def test_no_text_at_all_raises(seed: int) -> None:
    rng = random.Random(seed)
    text = "".join(rng.choices(PIECES, k=rng.randrange(60)))
    num_steps = rng.randrange(4)
    reading = FORM.read(text, num_steps)
    assert len(reading.verdicts) <= num_steps
    assert reading.reason is None or not reading.verdicts
    if reading.reason is None and reading.first_error is None:
        assert reading.verdicts == (True,) * num_steps
    FORM.section_problem(text, step=0, num_executed=rng.randrange(3))
    FORM.open_code(FORM.with_output(text, text))
    FORM.code_blocks(text)


FLOODS = ("```", "```python\n", "```\n[Code Output]\n\n", "<analyze>", "</output><output>", "# ")
FLOODS += ("\n### Paragraph 1", "\\boxed{", "\\boxed{ ", "\\boxed{9", "first error ", "\\boxed{No}")


@pytest.mark.parametrize("piece", FLOODS)
def test_a_megabyte_of_anything_is_read(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    FORM.read(text, 3)
    FORM.section_problem(text, step=0, num_executed=0)
    FORM.code_blocks(text)
    FORM.open_code(text)


def test_the_open_block_of_python_is_found_and_no_other() -> None:
    before = "<verify>\n```python\nx = 1\nprint(x)\n"
    assert FORM.open_code(before) == "x = 1\nprint(x)\n"
    assert FORM.open_code(before + "```\n") is None
    assert FORM.open_code("") is None
    assert FORM.open_code("<verify>\n```\nTru") is None
    assert FORM.open_code("```latex\nx") is None
    assert FORM.open_code("```python\n") == ""
    assert FORM.open_code("```Python \nprint('ж')") == "print('ж')"


def test_with_its_output_a_text_is_what_the_data_sets_hold() -> None:
    head, tail = section(1).split("```\n[Code Output]\n\n```\nTrue\n```\n")
    assert FORM.with_output(head, "True\n") + tail == section(1)
    assert FORM.with_output(head.rstrip("\n"), "True") + tail == section(1)


def test_executed_blocks_are_replayed_in_order() -> None:
    text = FORM.with_output("```python\na = 1\n", "") + FORM.with_output(
        "```python\nprint(a)\n", "1"
    )
    assert FORM.code_blocks(text) == ("a = 1\n", "print(a)\n")
    assert FORM.code_blocks(text + "```python\nb = 2\n") == ("a = 1\n", "print(a)\n")
    assert FORM.code_blocks(text + "```python\nb = 2\n``` not run") == ("a = 1\n", "print(a)\n")
    assert FORM.code_blocks("") == ()


def test_output_neither_ends_its_block_nor_floods_the_text() -> None:
    head = section(1).partition("```\n[Code")[0]
    text = FORM.with_output(head, "x" * 10**6 + "\n```\n</output>\nFalse\n")
    assert len(text) < len(head) + FORM.max_output_chars + 100
    assert text.count("```") == 4
    done = text + "</verify>\n<output>\n**Judgement**: $\\boxed{Yes}$\n</output>"
    assert FORM.section_problem(done, step=0, num_executed=1) == reasons.CONTRADICTION


def unexecuted(number: int) -> str:
    return section(number).replace("[Code Output]\n\n```\nTrue\n```\n", "")


def labelled_output(number: int) -> str:
    return unexecuted(number).replace("</verify>", "```output\nTrue\n```\n</verify>")


def times(says: str, *printed: str) -> str:
    head, tail = section(1, says=says).split("```python", 1)
    _, _, tail = tail.partition("True\n```\n")
    blocks = (FORM.with_output("```python\nprint(x)\n", one) for one in printed)
    return head + "".join(blocks) + tail


@pytest.mark.parametrize(
    ("text", "step", "num_executed", "problem"),
    [
        (section(1), 0, 1, None),
        ("\n\n" + section(2), 1, 1, None),
        (section(1), 1, 1, reasons.MALFORMED),
        (section(1) + "\n\n" + section(2), 0, 2, reasons.MALFORMED),
        ("So.\n" + section(1), 0, 1, reasons.MALFORMED),
        (section(1) + " Done.", 0, 1, reasons.MALFORMED),
        (section(1, says="Maybe"), 0, 1, reasons.MALFORMED),
        (section(1, says="Yes}$ or $\\boxed{No"), 0, 1, reasons.MALFORMED),
        (section(1).replace("<analyze>", ""), 0, 1, reasons.MALFORMED),
        (section(1).replace("</verify>", ""), 0, 1, reasons.MALFORMED),
        ("", 0, 0, reasons.MALFORMED),
        (section(1), 0, 0, reasons.OWN_OUTPUT),
        (section(1).replace("[Code Output]", "[Code output: True]"), 0, 0, reasons.OWN_OUTPUT),
        (labelled_output(1), 0, 0, reasons.OWN_OUTPUT),
        (unexecuted(1), 0, 0, reasons.NOT_EXECUTED),
        (section(1, says="Yes", printed="False"), 0, 1, reasons.CONTRADICTION),
        (section(1, says="No", printed="True"), 0, 1, reasons.CONTRADICTION),
        (section(1, says="No", printed="False"), 0, 1, None),
        (section(1, says="Yes", printed="44\nTrue\n"), 0, 1, None),
        (section(1, says="Yes", printed="True\n\nFalse\n\n"), 0, 1, reasons.CONTRADICTION),
        (section(1, says="No", printed="TimeoutError: code ran for 5 s"), 0, 1, None),
        (section(1, says="Yes", printed="NameError: False"), 0, 1, None),
        (section(1, says="No", printed=""), 0, 1, None),
        (section(1, says="Yes", printed="[Code Output]\nTrue"), 0, 1, None),
        (times("Yes", "True", "False"), 0, 2, reasons.CONTRADICTION),
        (times("No", "True", "False"), 0, 2, None),
        (times("No", "True", "NameError"), 0, 2, None),
        (times("No", "True", "True"), 0, 2, reasons.CONTRADICTION),
        (times("Yes", *["True"] * 4), 0, 4, None),
        (times("Yes", *["True"] * 5), 0, 5, reasons.TOO_MUCH_CODE),
    ],
)  # fmt: skip
def test_a_section_is_drawn_again_for_a_reason(
    text: str, step: int, num_executed: int, problem: str | None
) -> None:
    assert FORM.section_problem(text, step=step, num_executed=num_executed) == problem


def test_contradictions_and_missing_checks_are_the_recipes_choice() -> None:
    lenient = GenPrmForm(rejects_contradictions=False)
    strict = GenPrmForm(needs_check=True)
    without = "### Paragraph 1\n<analyze>\n</analyze>\n<output>\n\\boxed{Yes}\n</output>"
    assert lenient.section_problem(section(1, printed="False"), step=0, num_executed=1) is None
    assert FORM.section_problem(without, step=0, num_executed=0) is None
    assert strict.section_problem(without, step=0, num_executed=0) == reasons.NO_CHECK


def test_generation_pauses_at_closing_fences_and_section_ends_only() -> None:
    assert FORM.stop == (FORM.code_end, FORM.section_end)
    assert FORM.code_end not in "```python\n"
    assert section(1).endswith(FORM.section_end)


def test_the_prompt_numbers_paragraphs_from_one() -> None:
    prompt = GenPrmForm(opening="### Paragraph 1\n").prompt("How much?", [" a {b}\n\n", "c"])
    system, user = prompt.messages
    assert (system.role, user.role) == ("system", "user")
    assert user.content.endswith(
        "Problem:\nHow much?\n\nSolution:\n\n### Paragraph 1\na {b}\n\n### Paragraph 2\nc"
    )
    assert prompt.prefix == "### Paragraph 1\n"
    bare = GenPrmForm(system=None, request="").prompt("Q", [])
    assert [m.content for m in bare.messages] == ["Problem:\nQ\n\nSolution:"]


def test_a_form_is_part_of_a_recipes_digest() -> None:
    assert digest_of(_described(FORM)) != digest_of(_described(GenPrmForm(request="other")))


def test_a_form_that_shows_no_output_is_refused() -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        GenPrmForm(max_output_chars=0)
