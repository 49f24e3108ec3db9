"""Written critiques agree with the oracle, with Python and with the form that reads them."""

import contextlib
import io
from collections.abc import Iterator
from fractions import Fraction

import pytest

from factory.core.teachers.form import CONTRADICTION
from factory.core.teachers.genprm import GenPrmForm
from factory.toy.checks import run_checks
from factory.toy.critique_samples import critique_segments
from factory.toy.critiques import Critique, user_text, write_critique
from factory.toy.operations import Given, Operation, Result
from factory.toy.oracle import first_error, judge
from factory.toy.samples import encode
from factory.toy.solver import Habits, write_solution
from factory.toy.teacher import PHRASES, build_teacher_tokenizer
from factory.toy.world import ToyProblem, make_problems

FORM = GenPrmForm()
TOKENIZER = build_teacher_tokenizer()
CARELESS = Habits(error_rate=0.25, repair_rate=0.4, detour_rate=0.3)


def fixed(number: int) -> Given:
    return Given(value=Fraction(number))


COUNT = ToyProblem(
    family="W",
    level=2,
    seed=0,
    question="14 apples, 12 pens, then 36 more, then 5 are lost.",
    answer="45",
    plan=(
        Operation(operator="+", left=fixed(14), right=fixed(36)),
        Operation(operator="-", left=Result(index=0), right=fixed(5)),
    ),
    values=(Fraction(50), Fraction(45)),
    note=Operation(operator="+", left=fixed(14), right=fixed(12)),
)


def examples() -> Iterator[tuple[ToyProblem, list[str]]]:
    """Right and wrong solutions of all families and levels."""
    for seed, problem in enumerate(make_problems(360, 21)):
        yield problem, [step.text for step in write_solution(problem, seed, CARELESS)]


def checks_of(*steps: str) -> list[str]:
    return [section.code for section in write_critique(COUNT, steps, 0).sections]


def error_of(*steps: str) -> int | None:
    return write_critique(COUNT, steps, 0).first_error


def test_a_right_solution_is_judged_to_its_end() -> None:
    steps = ("14 + 36 = 50.", "50 - 5 = 45.", r"The answer is: \boxed{45}")
    assert checks_of(*steps) == [
        "print(14 + 36 == 50)",
        "print(50 - 5 == 45)",
        "print(50 - 5 == 45)",
    ]
    assert error_of(*steps) is None


@pytest.mark.parametrize(
    ("steps", "check"),
    [
        (["14 + 36 = 40."], "print(14 + 36 == 40)"),
        (["14 + 12 = 26."], "print(14 + 36 == 26)"),
        (["15 + 35 = 50."], 'print("14 + 36 = 50" == "15 + 35 = 50")'),
        (["something else"], "print(14 + 36 == None)"),
        ([r"The answer is: \boxed{46}"], "print((14 + 36) - 5 == 46)"),
        (["Note: 14 + 12 = 27."], "print(14 + 12 == 27)"),
        (["14 + 36 = 50.", "Check: 50 - 36 = 15."], "print(50 - 36 == 15)"),
        (["14 + 36 = 50.", "Wait, 14 + 36 = 60."], "print(14 + 36 == 60)"),
    ],
)
def test_a_wrong_step_is_checked_against_what_was_needed(steps: list[str], check: str) -> None:
    assert checks_of(*steps)[-1] == check
    assert error_of(*steps) == len(steps) - 1


def test_a_repaired_step_stays_the_first_error_and_ends_the_critique() -> None:
    steps = ("14 + 36 = 40.", "Wait, 14 + 36 = 50.", "50 - 5 = 45.")
    assert error_of(*steps) == 0
    assert len(checks_of(*steps)) == 1


def test_a_needless_repair_and_a_note_are_right() -> None:
    steps = ("Note: 14 + 12 = 26.", "14 + 36 = 50.", "Wait, 14 + 36 = 50.", "50 - 5 = 45.")
    assert error_of(*steps) is None
    assert checks_of(*steps)[0] == "print(14 + 12 == 26)"


def test_the_verdict_is_the_oracles() -> None:
    for problem, steps in examples():
        critique = write_critique(problem, steps, 0)
        assert critique.first_error == first_error(judge(problem, steps)), steps
        reading = FORM.read(critique.text, len(steps))
        assert reading.reason is None, critique.text
        assert reading.first_error == critique.first_error


def in_python(critique: Critique) -> Iterator[str]:
    """What plain Python prints, block by block in one namespace."""
    namespace: dict[str, object] = {}
    for section in critique.sections:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(section.code, namespace)
        yield printed.getvalue().strip()


def test_every_check_prints_what_it_is_written_to_print() -> None:
    for problem, steps in examples():
        critique = write_critique(problem, steps, 0)
        blocks = [section.code for section in critique.sections]
        assert list(in_python(critique)) == [section.output for section in critique.sections]
        assert [run_checks(blocks[: i + 1]) for i in range(len(blocks))] == [
            section.output for section in critique.sections
        ]


def test_no_section_would_be_drawn_again() -> None:
    for problem, steps in examples():
        critique = write_critique(problem, steps, 0)
        for step, section in enumerate(critique.sections):
            text = "".join(segment.text for segment in section.segments)
            assert FORM.section_problem(text, step=step, num_executed=1) is None, text


def test_slips_of_the_head_are_read_but_not_taught_and_can_contradict_the_check() -> None:
    critiques = [write_critique(p, s, 0, slip_rate=1.0) for p, s in examples()]
    sections = [section for critique in critiques for section in critique.sections]
    assert all(not section.segments[1].is_taught for section in sections)
    assert any(not section.seems_right and section.output == "True" for section in sections)
    assert any(section.seems_right and section.output == "False" for section in sections)


def test_what_code_printed_and_the_request_are_not_taught() -> None:
    problem, steps = next(examples())
    (sample,) = encode([critique_segments(problem, steps, 0)], TOKENIZER)
    taught = [i for i, t in zip(sample.ids, sample.is_taught, strict=True) if t]
    text = TOKENIZER.decode(taught)
    assert text.startswith("### Paragraph 1\n<analyze>")
    assert text.endswith("}$<|end|>")
    assert "[Code Output]" not in text


def test_segments_are_encoded_as_the_whole_text_is() -> None:
    for problem, steps in examples():
        segments = critique_segments(problem, steps, 0)
        text = "".join(segment.text for segment in segments)
        (sample,) = encode([segments], TOKENIZER)
        assert TOKENIZER(text).input_ids == list(sample.ids)
        assert TOKENIZER.decode(list(sample.ids)) == text
        assert len(sample.ids) <= 1024


@pytest.mark.parametrize("stop", FORM.stop)
def test_no_token_hides_the_end_of_a_stop_string(stop: str) -> None:
    assert all(stop not in phrase[:-1] for phrase in PHRASES if "Code Output" not in phrase)


def test_the_forms_request_becomes_what_is_trained_on() -> None:
    problem, steps = next(examples())
    messages = [
        {"role": m.role, "content": m.content}
        for m in FORM.prompt(problem.question, steps).messages
    ]
    prompt = TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert prompt == f"<|user|>{user_text(problem.question, steps)}<|end|><|assistant|>"
    assert critique_segments(problem, steps, 0)[0].text == prompt


@pytest.mark.parametrize(
    ("blocks", "printed"),
    [
        (["print(2 + 2 == 4)"], "True"),
        (["from fractions import Fraction as F\nprint(1)", "print(F(7) / 3 == F(7, 3))"], "True"),
        (["print(F(7) / 3 == 2)"], "NameError: name 'F' is not defined"),
        (["print(1 % 0 == 2)"], "ZeroDivisionError: integer modulo by zero"),
        (["open('x')"], "ValueError: only print is run here"),
        (["print(9 ** 9)"], "ValueError: Pow is not run here"),
        (["print('a' * 9 == 2)"], "ValueError: no arithmetic on text here"),
        (["print(__import__('os'))"], "ValueError: only F can be called here"),
    ],
)
def test_only_arithmetic_is_run(blocks: list[str], printed: str) -> None:
    assert run_checks(blocks) == printed


def test_a_stubborn_critique_ends_with_a_judgement_against_its_check() -> None:
    """Chance: the seeds are fixed."""
    found = 0
    for seed, (problem, steps) in enumerate(examples()):
        critique = write_critique(problem, steps, seed)
        segments = critique.stubborn_segments
        mismatched = [s for s in critique.sections if s.seems_right != s.is_right]
        assert (segments is not None) == bool(mismatched)
        if segments is None:
            continue
        found += 1
        text = "".join(segment.text for segment in segments)
        *before, last = text.split("\n\n### Paragraph ")
        section = last if not before else "### Paragraph " + last
        index = len(before)
        assert FORM.section_problem(section, step=index, num_executed=1) == CONTRADICTION
        assert critique.text.startswith(text[: text.rindex("boxed{")])
    assert found > 50
