"""Best-of-N: worked problems, ties shared, and no method above the oracle."""

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.evaluation.best_of import (
    AGGREGATIONS,
    MAJORITY,
    ORACLE,
    PASS_1,
    Sampled,
    accuracies,
    aggregate,
    curve,
    expected_accuracy,
    resampled_accuracies,
    score_best_of,
)


def sampled(answer: object, is_correct: bool, *scores: float) -> Sampled:
    return Sampled(answer=answer, is_correct=is_correct, scores=scores)  # type: ignore[arg-type]


PROBLEM = (
    sampled("7", False, 0.9, 0.6),  # last .6, min .6, product .54, mean .75
    sampled("7", False, 0.5, 0.5),  # last .5, min .5, product .25, mean .5
    sampled("6", True, 0.6, 0.9),  # last .9, min .6, product .54, mean .75
    sampled("5", False, 0.8, 0.1),
)


def test_a_worked_problem() -> None:
    found = accuracies(PROBLEM)
    assert found[PASS_1] == 0.25
    assert found[MAJORITY] == 0.0
    assert found[ORACLE] == 1.0
    assert found["prm-last"] == 1.0
    assert found["prm-min"] == 0.5  # tied with a wrong one
    assert found["prm-product"] == 0.5
    assert found["prm-mean"] == 0.5
    assert found["vote-last"] == 0.0  # 1.1 against 0.9
    assert found["vote-min"] == 0.0
    assert found["vote-product"] == 0.0


def test_a_weighted_vote_can_overrule_the_majority() -> None:
    problem = (sampled("7", False, 0.1), sampled("7", False, 0.2), sampled("6", True, 0.9))
    found = accuracies(problem)
    assert (found[MAJORITY], found["vote-last"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("values", "correct", "expected"),
    [
        ([1.0], [1.0], 1.0),
        ([0.5, 0.5, 0.5], [1.0, 0.0, 0.0], 1 / 3),
        ([0.5, 0.5 + 1e-12], [1.0, 0.0], 0.5),  # rounding is no preference
        ([0.5, 0.6], [1.0, 0.0], 0.0),
        ([-inf, -inf], [1.0, 1.0], 0.0),  # nothing scored: nothing chosen
        ([], [], 0.0),
    ],
)
def test_ties_are_shared(values: list[float], correct: list[float], expected: float) -> None:
    assert expected_accuracy(values, correct) == pytest.approx(expected)


def test_a_tied_vote_is_shared_between_answers_not_solutions() -> None:
    problem = (
        sampled("a", True, 0.5),
        sampled("a", True, 0.5),
        sampled("b", False, 0.5),
        sampled("b", False, 0.5),
        sampled("c", False, 0.5),
    )
    assert accuracies(problem)[MAJORITY] == 0.5


def test_a_solution_without_scores_is_not_preferred_and_does_not_vote() -> None:
    problem = (sampled("a", False, nan, 0.9), sampled("a", False, nan), sampled("b", True, 0.1))
    found = accuracies(problem)
    assert aggregate("last", (nan, 0.9)) == -inf
    for name in AGGREGATIONS:
        assert found[f"prm-{name}"] == 1.0
        assert found[f"vote-{name}"] == 1.0
    assert found[MAJORITY] == 0.0


def test_a_prm_that_scores_nothing_is_not_shown_as_a_solution_at_random() -> None:
    problem = (sampled("a", True, nan), sampled("a", True, 0.5, nan), sampled("b", False, nan))
    found = accuracies(problem)
    for name in AGGREGATIONS:
        assert found[f"prm-{name}"] == found[f"vote-{name}"] == 0.0
    assert found[PASS_1] == pytest.approx(2 / 3)
    assert found[MAJORITY] == 1.0


def test_a_solution_without_an_answer_does_not_vote() -> None:
    gave_up = sampled(None, False, 0.9)
    problem = (gave_up, gave_up, sampled("6", True, 0.1))
    found = accuracies(problem)
    assert (found[MAJORITY], found["vote-last"]) == (1.0, 1.0)
    assert found["prm-last"] == 0.0  # the solution of highest score is one that gave up
    assert found[PASS_1] == pytest.approx(1 / 3)


def test_where_nobody_answers_every_vote_is_wrong() -> None:
    found = accuracies((sampled(None, False, 0.9), sampled(None, True, 0.1)))
    assert found[MAJORITY] == found["vote-mean"] == 0.0


def test_a_vote_of_no_weight_is_a_vote() -> None:
    problem = (sampled("a", True, 0.0), sampled("b", False, nan))
    assert accuracies(problem)["vote-min"] == 1.0


def test_an_answer_that_is_right_half_the_time_counts_half() -> None:
    problem = (sampled("a", True, 0.5), sampled("a", False, 0.5))
    assert accuracies(problem)[MAJORITY] == 0.5


@pytest.mark.parametrize("is_correct", [True, False])
def test_where_all_are_alike_all_methods_are(is_correct: bool) -> None:
    problem = tuple(sampled(a, is_correct, 0.3, s) for a, s in (("a", 0.1), ("b", 0.9)))
    assert set(accuracies(problem).values()) == {float(is_correct)}


def test_gains_are_paired_with_the_majority() -> None:
    helped = (sampled("7", False, 0.1), sampled("7", False, 0.2), sampled("6", True, 0.9))
    easy = (sampled("1", True, 0.9),) * 3
    rows = {row.method: row for row in score_best_of([helped] * 5 + [easy] * 15)}
    assert rows[MAJORITY].accuracy.value == 0.75
    assert rows[MAJORITY].gain is None
    gain = rows["prm-last"].gain
    assert gain is not None
    assert gain.value == 0.25
    assert gain.low is not None
    assert 0 < gain.low < 0.25  # majority never wins: no resample can be below 0
    assert rows["prm-last"].accuracy.low == 1.0
    assert rows[ORACLE].accuracy.num == 20


values = st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0, nan])


@st.composite
def problems(draw: st.DrawFn) -> list[Sampled]:
    classes = draw(st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=6))
    return [sampled(c, c == 0, *draw(st.lists(values, min_size=1, max_size=3))) for c in classes]


@given(problems())
def test_nothing_is_above_the_oracle_or_below_nothing(problem: list[Sampled]) -> None:
    found = accuracies(problem)
    assert all(0 <= found[name] <= found[ORACLE] + 1e-12 for name in found)
    assert accuracies(problem[::-1]) == pytest.approx(found)


def test_the_curve_ends_in_the_whole_and_begins_with_pass_at_1() -> None:
    found = curve([PROBLEM] * 3, [1, 4, 8])
    whole = accuracies(PROBLEM)
    for name, values in found.items():
        assert values[1] == pytest.approx(whole[name])
        assert values[2] != values[2]  # nobody has eight
        assert values[0] == pytest.approx(whole[PASS_1])
    assert found[PASS_1][0] == found[PASS_1][1]


def test_the_curve_draws_where_there_are_many_choices() -> None:
    many = [sampled(i, i < 16, 0.5) for i in range(32)]
    found = curve([many] * 40, [8])
    assert found[PASS_1] == [0.5]
    # 800 draws of 8 of 32, half of them right: the standard error is .006, 5 of them are .03
    assert found["prm-last"] == [pytest.approx(0.5, abs=0.03)]


def test_the_better_of_two_long_solutions_is_no_tie() -> None:
    """Thirty steps of a half make a product of 1e-9: small, and a million times the other's."""
    pair = (sampled("1", True, *[0.5] * 30), sampled("2", False, *[0.3] * 30))
    found = accuracies(pair)
    assert found["prm-product"] == found["vote-product"] == 1.0


def test_resampled_accuracies_have_the_intervals_that_are_reported() -> None:
    problems = [PROBLEM, PROBLEM[:2], PROBLEM[2:], PROBLEM[::3]] * 5
    drawn = resampled_accuracies(problems)
    reported = {method.method: method.accuracy for method in score_best_of(problems)}
    assert drawn.keys() == reported.keys()
    for name, found in reported.items():
        low, high = np.quantile(drawn[name], (0.025, 0.975))
        assert (found.low, found.high) == pytest.approx((low, high))
    assert reported[PASS_1].low != reported[PASS_1].high
