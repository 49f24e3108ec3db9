"""PRMBench's score on worked processes."""

from math import nan

import pytest

from factory.evaluation.prmbench import JudgedProcess, score_prmbench


def process(category: str, errors: set[int], *scores: float, problem: str = "") -> JudgedProcess:
    return JudgedProcess(
        category=category,
        problem=problem or repr((category, scores)),
        error_steps=frozenset(errors),
        scores=scores,
    )


def test_a_worked_category() -> None:
    # good called good 2, bad called good 1, good called bad 1, bad called bad 1
    found = score_prmbench([process("circular", {1, 3}, 0.9, 0.2, 0.4, 0.7, 0.5)])
    [row] = found.categories
    assert row.f1_good.value == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert row.f1_bad.value == pytest.approx(2 * 1 / (2 * 1 + 1 + 1))
    assert row.prm_score.value == pytest.approx((4 / 6 + 2 / 4) / 2)
    assert row.prm_score.num == 5
    assert found.overall.prm_score.value == row.prm_score.value


def test_several_solutions_count_good_steps_alone() -> None:
    found = score_prmbench([process("multi_solutions", set(), 0.9, 0.2)])
    [row] = found.categories
    assert row.prm_score.value == row.f1_good.value == pytest.approx(2 / 3)
    assert row.f1_bad.value == 0.0


def test_categories_come_in_the_paper_s_order_and_unknown_ones_last() -> None:
    found = score_prmbench(
        [process(name, {0}, 0.1, 0.9) for name in ("mine", "deception", "redundency")]
    )
    assert [row.category for row in found.categories] == ["redundency", "deception", "mine"]
    assert found.overall.num_processes == 3


def test_the_extremes() -> None:
    perfect = score_prmbench([process("circular", {0}, 0.1, 0.9)])
    assert perfect.overall.prm_score.value == 1.0
    blind = score_prmbench([process("circular", {0}, 0.9, 0.1)])
    assert blind.overall.prm_score.value == 0.0
    nothing_bad = score_prmbench([process("circular", set(), 0.9)])
    assert nothing_bad.overall.f1_bad.value is None
    assert nothing_bad.overall.prm_score.value is None


def test_a_class_that_is_there_and_never_found_has_an_f1_of_0() -> None:
    """Where the code divides 0 by 0 and says -1: all good called bad, all bad called good."""
    found = score_prmbench([process("circular", {1}, 0.1, 0.9)]).overall
    assert found.f1_good.value == found.f1_bad.value == found.prm_score.value == 0.0


def test_the_overall_score_is_of_one_pool_and_no_mean() -> None:
    found = score_prmbench(
        [process("circular", {0}, 0.1, 0.9), process("deception", {0}, *[0.9] * 8)]
    )
    good, bad = 2 * 8 / (2 * 8 + 1), 2 * 1 / (2 * 1 + 1)
    assert found.overall.prm_score.value == pytest.approx((good + bad) / 2)


def test_what_has_no_scores_is_left_out_and_counted() -> None:
    found = score_prmbench([process("circular", {0}, nan), process("circular", {0}, 0.1, 0.9)])
    assert (found.num_unscored, found.overall.num_processes) == (1, 1)
    assert score_prmbench([]).overall.prm_score.value is None
