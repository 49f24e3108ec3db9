"""ProcessBench's F1 and thresholds: worked numbers, and the threshold against all thresholds."""

from math import nan, nextafter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.evaluation.processbench import (
    JudgedSolution,
    Threshold,
    best_threshold,
    choose_threshold,
    is_right,
    predicted_error,
    readable_between,
    resampled_held_out_f1,
    score_processbench,
)

GIVEN = Threshold(value=0.5, chosen_on=None)


def judged(
    first_error: int | None, *scores: float, subset: str = "math", problem: str = ""
) -> JudgedSolution:
    return JudgedSolution(
        subset=subset, problem=problem or repr(scores), first_error=first_error, scores=scores
    )


def f1_at(solutions: list[JudgedSolution], threshold: float) -> float:
    """As the reference code counts it, 0 where it would divide by 0."""
    right = {True: [0.0], False: [0.0]}
    for s in solutions:
        right[s.first_error is not None].append(is_right(s, threshold))
    a, b = (sum(r) / max(1, len(r) - 1) for r in right.values())
    return 2 * a * b / (a + b) if a + b else 0.0


def test_the_earliest_score_below_the_threshold_is_named() -> None:
    assert predicted_error([0.9, 0.4, 0.1], 0.5) == 1
    assert predicted_error([0.9, 0.5], 0.5) is None
    assert predicted_error([], 0.5) is None


def test_a_worked_f1() -> None:
    solutions = [
        judged(1, 0.9, 0.2, 0.1),  # named
        judged(0, 0.9, 0.2),  # a later step named
        judged(2, 0.9, 0.8, 0.7),  # missed
        judged(0, 0.1),  # named
        judged(None, 0.9, 0.8),  # passed
        judged(None, 0.9, 0.3),  # blamed
        judged(None, 0.9),  # passed
    ]
    found = score_processbench(solutions, GIVEN)
    [subset] = found.subsets
    assert subset.accuracy_erroneous.value == 0.5
    assert subset.accuracy_erroneous.num == 4
    assert subset.accuracy_correct.value == pytest.approx(2 / 3)
    assert subset.f1.value == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))
    assert found.average_f1.value == subset.f1.value
    assert subset.f1.low is not None
    assert subset.f1.high is not None
    assert 0 <= subset.f1.low < subset.f1.value < subset.f1.high <= 1
    assert found.held_out_f1 is None


@pytest.mark.parametrize(
    ("solutions", "f1"),
    [
        ([judged(0, 0.1), judged(None, 0.9)], 1.0),  # all right
        ([judged(0, 0.9), judged(None, 0.1)], 0.0),  # all wrong: 0, not 0/0
        ([judged(0, 0.1)], None),  # one kind alone
        ([judged(None, 0.9)], None),
    ],
)
def test_f1_of_the_extremes(solutions: list[JudgedSolution], f1: float | None) -> None:
    assert score_processbench(solutions, GIVEN).average_f1.value == f1


def test_the_average_is_of_the_subsets_and_says_what_was_not_chosen_on() -> None:
    solutions = [
        judged(0, 0.1, subset="gsm8k"),
        judged(None, 0.9, subset="gsm8k"),
        judged(0, 0.9, subset="omnimath"),
        judged(None, 0.9, subset="omnimath"),
    ]
    threshold = choose_threshold(solutions)
    assert threshold.chosen_on == "gsm8k"
    found = score_processbench(solutions, threshold)
    assert [s.f1.value for s in found.subsets] == [1.0, 0.0]
    assert found.average_f1.value == 0.5
    assert found.held_out_f1 is not None
    assert found.held_out_f1.value == 0.0
    assert found.held_out_f1.num == 2


def test_without_gsm8k_the_first_subset_chooses() -> None:
    solutions = [judged(0, 0.1, subset="b"), judged(None, 0.9, subset="a")]
    assert choose_threshold(solutions).chosen_on == "b"
    assert choose_threshold(solutions, subset="a").chosen_on == "a"
    assert choose_threshold(solutions, value=0.3) == Threshold(value=0.3, chosen_on=None)
    with pytest.raises(ValueError, match="no subset 'c': there are b, a"):
        choose_threshold(solutions, subset="c")


def test_a_solution_without_scores_is_never_right() -> None:
    solutions = [judged(0, nan), judged(None, nan, nan), judged(0, 0.1), judged(None, 0.9)]
    found = score_processbench(solutions, GIVEN)
    assert found.num_unscored == 2
    assert found.average_f1.value == 0.5


score = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0])


@st.composite
def solutions(draw: st.DrawFn) -> JudgedSolution:
    scores = draw(st.lists(score, min_size=1, max_size=4))
    error = draw(st.none() | st.integers(0, len(scores) - 1))
    return judged(error, *scores)


@given(st.lists(solutions(), min_size=1, max_size=12))
def test_no_threshold_beats_the_chosen_one(found: list[JudgedSolution]) -> None:
    grid = [*np.arange(-0.05, 1.1, 0.05), 0.5, 1.0 + 1e-9]
    kinds = {s.first_error is None for s in found}
    best = max(f1_at(found, t) for t in grid) if len(kinds) == 2 else 0.0
    assert f1_at(found, best_threshold(found)) >= best - 1e-12


def test_of_equally_good_thresholds_the_one_nearest_a_half_is_taken() -> None:
    assert best_threshold([judged(0, 0.0), judged(None, 1.0)]) == 0.5
    assert best_threshold([judged(0, 0.9)]) == 0.5
    assert best_threshold([]) == 0.5


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, 0.5),
        (0.52, 0.58, 0.55),
        (0.51234, 0.51236, 0.51235),
        (0.0, 5e-324, 5e-324),
        (nextafter(1.0, 0.0), 1.0, 1.0),
        (nextafter(0.7, 0.0), 0.7, 0.7),
        (0.7, nextafter(0.7, 1.0), nextafter(0.7, 1.0)),
        (1e-12, 3e-12, 2e-12),
    ],
)
def test_a_threshold_is_short_to_write_and_separates(
    low: float, high: float, expected: float
) -> None:
    found = readable_between(low, high)
    assert found == expected
    assert low < found <= high


@given(st.floats(0, 1), st.integers(1, 3))
def test_neighbouring_scores_are_told_apart(bad: float, num_between: int) -> None:
    good = bad
    for _ in range(num_between):
        good = nextafter(good, 2.0)
    chosen = best_threshold([judged(0, bad), judged(None, good)])
    assert bad < chosen <= good


@given(st.lists(solutions(), max_size=12))
def test_a_chosen_threshold_is_a_score_or_lies_between_two(found: list[JudgedSolution]) -> None:
    assert 0 < best_threshold(found) <= 1


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    """F1 of a coin, 60 runs of 200 solutions: 95 % intervals miss 8 or more times with p < 0.01
    (binomial, 60 draws of 0.05 give 8 or more in 0.9 %)."""
    rng = np.random.default_rng(5)
    missed = 0
    for _ in range(60):
        found = [
            judged(0 if i % 2 else None, float(rng.random() < 0.7) * 0.9 if i % 2 == 0 else
                   float(rng.random() >= 0.7) * 0.9, problem=str(i))
            for i in range(200)
        ]  # fmt: skip
        f1 = score_processbench(found, GIVEN).average_f1
        assert f1.low is not None
        assert f1.high is not None
        missed += not f1.low <= 0.7 <= f1.high
    assert missed <= 8


def test_the_resampled_f1_has_the_interval_that_is_reported() -> None:
    solutions = [
        judged(
            1 if n % 2 else None, 0.9, 0.2 if n % 3 else 0.8, subset="ab"[n % 5 > 2], problem=str(n)
        )
        for n in range(60)
    ]
    for threshold in (GIVEN, Threshold(value=0.5, chosen_on="a")):
        drawn = resampled_held_out_f1(solutions, threshold)
        low, high = np.quantile(drawn[~np.isnan(drawn)], (0.025, 0.975))
        found = score_processbench(solutions, threshold)
        reported = found.held_out_f1 if threshold.chosen_on else found.average_f1
        assert reported is not None
        assert 0 < low < high < 1
        assert (reported.low, reported.high) == pytest.approx((low, high))
