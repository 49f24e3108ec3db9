"""What an audit says of labels whose errors are known."""

from dataclasses import replace

import pytest

from factory.core.auditing import AuditedStep, report

RIGHT = AuditedStep(
    solution_id="a",
    label=True,
    p_good=0.9,
    is_decided=True,
    mc_score=0.5,
    fresh_label=True,
    fresh_correct=128,
    fresh_rollouts=256,
)


def steps(num_right: int, num_wrong: int) -> list[AuditedStep]:
    right = [replace(RIGHT, solution_id=f"right {i}") for i in range(num_right)]
    wrong = [replace(RIGHT, solution_id=f"wrong {i}", fresh_label=False) for i in range(num_wrong)]
    return [*right, *wrong]


def test_realised_error_is_the_share_of_labels_that_differ() -> None:
    found = report(steps(80, 20))["all"]
    assert found["realised_error"]["rate"] == 0.2
    assert found["realised_error"]["low"] < 0.2 < found["realised_error"]["high"]
    assert found["claimed_error"] == pytest.approx(0.1)
    assert found["realised_over_claimed"] == pytest.approx(2)
    assert (found["false_good"]["rate"], found["false_bad"]["rate"]) == (0.2, 0)


def test_the_interval_counts_solutions_and_not_steps() -> None:
    """Ten solutions of twenty equal steps each know no more than ten steps."""
    many = [replace(s, solution_id=s.solution_id) for s in steps(5, 5) for _ in range(20)]
    few = report(steps(5, 5))["all"]["realised_error"]
    assert report(many)["all"]["realised_error"] == few


def test_a_claim_is_the_chance_that_the_label_is_wrong_whichever_label_it_is() -> None:
    bad = replace(RIGHT, label=False, p_good=0.3, fresh_label=False)
    assert report([bad])["all"]["claimed_error"] == pytest.approx(0.3)


def test_labels_without_a_prior_claim_nothing() -> None:
    found = report([replace(RIGHT, p_good=None, is_decided=None)])
    assert found["all"]["claimed_error"] is None
    assert found["all"]["realised_over_claimed"] is None
    assert found["decided"] is None


def test_undecided_steps_count_among_all_and_not_among_the_decided() -> None:
    doubtful = replace(RIGHT, is_decided=False, p_good=0.6, fresh_label=False)
    found = report([RIGHT, doubtful])
    assert found["all"]["realised_error"]["rate"] == 0.5
    assert found["decided"]["realised_error"]["rate"] == 0


def test_the_oracle_judges_published_and_fresh_labels() -> None:
    known = [replace(s, is_good_in_truth=True) for s in steps(3, 1)]
    found = report(known)["against_truth"]
    assert (found["published"]["rate"], found["fresh"]["rate"]) == (0, 0.25)


def test_calibration_compares_soft_labels_with_fresh_shares() -> None:
    off = replace(RIGHT, mc_score=1.0)
    found = report([RIGHT, off])["calibration"]
    assert found["ece"] == pytest.approx(0.25)
    assert found["bias"] == pytest.approx(0.25)
    assert [row["num_steps"] for row in found["bins"]] == [1, 1]


def test_no_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing was audited"):
        report([])
