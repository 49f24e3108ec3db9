"""The oracle knows the truth of the generator's solutions and survives anything."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.toy.lines import is_answer, read_answer, read_line
from factory.toy.operations import Given, Operation, Result
from factory.toy.oracle import StepTruth, first_error, judge
from factory.toy.solver import FLAWLESS, write_solution
from factory.toy.world import ToyProblem, make_problem, make_problems

PROBLEMS = make_problems(1000, 11)


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


def marks(*steps: str) -> str:
    """T or F for true, then + or - for alive, per step."""
    truths = judge(COUNT, steps)
    return " ".join(("T" if t.is_true else "F") + ("+" if t.is_alive else "-") for t in truths)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["14 + 36 = 50.", "50 - 5 = 45.", r"The answer is: \boxed{45}"], "T+ T+ T+"),
        (["36 + 14 = 50."], "T+"),
        (["14 + 36 = 40.", "40 - 5 = 35.", r"The answer is: \boxed{35}"], "F- F- F-"),
        (["14 + 36 = 40.", "Wait, 14 + 36 = 50.", "50 - 5 = 45."], "F- T+ T+"),
        (["14 + 36 = 40.", "40 - 5 = 35.", "Wait, 14 + 36 = 50."], "F- F- T+"),
        (["14 + 36 = 40.", "Wait, 14 + 36 = 60.", "Wait, 14 + 36 = 50."], "F- F- T+"),
        (["14 + 36 = 40.", "50 - 5 = 45."], "F- T+"),
        (["14 + 12 = 26.", "26 - 5 = 21."], "F- F-"),
        (["Note: 14 + 12 = 26.", "14 + 36 = 50."], "T+ T+"),
        (["14 + 36 = 50.", "Check: 50 - 36 = 14."], "T+ T+"),
        (["14 + 36 = 50.", "Check: 50 - 36 = 15."], "T+ F+"),
        (["14 + 36 = 50.", "Wait, 14 + 36 = 60.", "60 - 5 = 55."], "T+ F- F-"),
        (["15 + 35 = 50.", "50 - 5 = 45."], "F+ T+"),
        (["something else"], "F-"),
        ([r"The answer is: \boxed{45}"], "T+"),
        ([r"\boxed{\frac{90}{2}}", r"\boxed{44.9}", r"\boxed{45.0}"], "T+ F- T+"),
        ([], ""),
    ],
)
def test_words_of_the_oracle(steps: list[str], expected: str) -> None:
    assert marks(*steps) == expected


def test_right_solutions_are_true_and_alive_to_the_reference_answer() -> None:
    for problem in PROBLEMS:
        texts = [step.text for step in write_solution(problem, 0, FLAWLESS)]
        assert set(judge(problem, texts)) == {StepTruth(is_true=True, is_alive=True)}, texts
        assert read_answer(texts[-1]) == Fraction(problem.answer)


def test_oracle_agrees_with_the_record_of_injected_errors() -> None:
    """Exactly at the first error; after it, up to steps that a wrong value made right by luck."""
    num_steps = num_lucky = 0
    for problem in PROBLEMS:
        steps = write_solution(problem, 1)
        truths = judge(problem, [step.text for step in steps])
        recorded = [StepTruth(is_true=s.is_true, is_alive=s.is_alive) for s in steps]
        error = next((i for i, s in enumerate(steps) if s.is_mistake), None)
        assert first_error(truths) == error
        assert list(truths[:error]) == recorded[:error]
        num_steps += len(steps)
        num_lucky += sum(t != r for t, r in zip(truths, recorded, strict=True))
    assert num_lucky <= num_steps / 500


def test_training_solutions_err_repair_and_wander() -> None:
    """Shares of 1,000 seeded solutions, so there is no chance of a false alarm."""
    steps = [s for p in PROBLEMS for s in write_solution(p, 1)]
    assert 0.05 < sum(s.is_mistake for s in steps) / len(steps) < 0.11
    assert 0.2 < sum("Wait" in s.text for s in steps) / sum(s.is_mistake for s in steps) < 0.4
    assert 0.03 < sum(s.text.startswith(("Check", "Note")) for s in steps) / len(steps) < 0.09


PIECES = [
    "14",
    "+",
    "36",
    "=",
    "50",
    ".",
    "Wait,",
    "Check:",
    "y",
    r"\boxed{",
    "}",
    "/",
    "0",
    "9" * 5000,
]
garbage = st.text() | st.lists(st.sampled_from(PIECES)).map(" ".join)


@given(st.lists(garbage, max_size=6), st.integers(0, 99))
@settings(max_examples=300, deadline=None)
def test_oracle_judges_any_text(steps: list[str], index: int) -> None:
    truths = judge(PROBLEMS[index], steps)
    assert len(truths) == len(steps)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "1/0 + 2 = 3.", "y = 1/0.", "4 / 0 = 4.", "²+²=4", "١٤ + 36 = 50.", "9" * 9999),
        *(
            r"\boxed{}",
            r"\boxed{1/0}",
            r"\boxed{\frac{1}{0}}",
            rf"\boxed{{{'9' * 9999}}}",
            r"\boxed{",
        ),
    ],
)
def test_what_makes_no_claim_is_false(text: str) -> None:
    problem = make_problem("E", 3, 1)
    assert [t.is_true for t in judge(problem, [text])] == [False]
    assert read_answer(text) is None
    assert is_answer(text) or read_line(text) is None or "4 / 0" in text


def test_first_error_of_nothing_is_none() -> None:
    assert first_error(()) is None
