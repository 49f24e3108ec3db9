"""The toy world is a pure function, and its two halves never meet."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.toy.lines import read_answer, write_answer
from factory.toy.operations import run
from factory.toy.world import (
    FAMILIES,
    HELD_OUT_SEEDS,
    LEVELS,
    TRAINING_SEEDS,
    is_training_question,
    make_problem,
    make_problems,
    new_problem,
    problem_row,
)

families, levels = st.sampled_from(FAMILIES), st.sampled_from(LEVELS)
seeds = st.integers(0, TRAINING_SEEDS.stop - 1)


@given(families, levels, seeds)
@settings(max_examples=100, deadline=None)
def test_a_row_restores_its_problem(family: str, level: int, seed: int) -> None:
    problem = make_problem(family, level, seed)
    row = problem_row(problem)
    metadata = row["metadata"]
    assert isinstance(metadata, dict)
    assert make_problem(**metadata) == problem
    assert (row["question"], row["answer"]) == (problem.question, problem.answer)


@given(families, levels, seeds)
@settings(max_examples=100, deadline=None)
def test_the_plan_comes_to_the_reference_answer(family: str, level: int, seed: int) -> None:
    problem = make_problem(family, level, seed)
    assert run(problem.plan) == problem.values
    assert Fraction(problem.answer) == problem.value
    assert read_answer(write_answer(problem.value)) == problem.value


@given(families, levels, seeds)
@settings(max_examples=100, deadline=None)
def test_a_question_is_on_the_side_of_its_seed(family: str, level: int, seed: int) -> None:
    problem = make_problem(family, level, seed)
    assert is_training_question(problem.question) == (seed in TRAINING_SEEDS)


def test_no_question_of_the_demo_range_occurs_in_the_training_range() -> None:
    held_out = {p.question for p in make_problems(1000, 0)}
    training = {
        make_problem(family, level, TRAINING_SEEDS[i]).question
        for i in range(150)
        for family in FAMILIES
        for level in LEVELS
    }
    assert not held_out & training


def test_problems_are_distinct_and_take_turns() -> None:
    problems = make_problems(600, 3)
    assert len({p.question for p in problems}) == 600
    assert [p.level for p in problems[:6]] == [1, 2, 3, 4, 5, 6]
    assert {p.family for p in problems} == set(FAMILIES)
    assert all(p.seed in HELD_OUT_SEEDS for p in problems)


def test_a_longer_list_begins_with_the_shorter() -> None:
    assert make_problems(40, 5)[:20] == make_problems(20, 5)
    assert make_problems(5, 5) != make_problems(5, 6)


class Everything:
    """A container that holds whatever it is asked for."""

    def __contains__(self, question: object) -> bool:
        return True


def test_asking_for_more_questions_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="ask for fewer problems"):
        new_problem("M", 1, HELD_OUT_SEEDS, "all are known", Everything())


def test_levels_can_be_chosen() -> None:
    assert {p.level for p in make_problems(10, 0, levels=(2, 4))} == {2, 4}


def test_a_question_does_not_change_with_the_version_of_the_code() -> None:
    problem = make_problem("M", 2, 7)
    assert problem.answer == "48"
    assert problem.question == (
        "A machine starts with 18. Subtract 6. Add the start number. Add the start number."
        " What comes out?"
    )


def test_references_are_both_fractions_and_decimals() -> None:
    answers = [p.answer for p in make_problems(600, 0) if p.family == "E"]
    assert any("/" in a for a in answers)
    assert any("." in a for a in answers)


@pytest.mark.parametrize(
    ("family", "level", "seed"),
    [("X", 1, 0), ("W", 0, 0), ("W", 7, 0), ("W", 1, -1), ("W", 1, 2**40)],
)
def test_an_impossible_problem_is_refused(family: str, level: int, seed: int) -> None:
    with pytest.raises(ValueError, match=r"known|outside"):
        make_problem(family, level, seed)
