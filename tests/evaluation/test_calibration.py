"""AUC, ECE and Brier of scorers whose faults are known."""

import numpy as np
import pytest

from factory.evaluation.calibration import LabelledStep, StepScore, auc, score_steps


def steps(scores: list[float], labels: list[bool], problem: str = "") -> list[LabelledStep]:
    return [
        LabelledStep(problem=problem or i, score=s, is_good=good)
        for i, (s, good) in enumerate(zip(scores, labels, strict=True))
    ]


def test_worked_numbers() -> None:
    found = score_steps(steps([0.95, 0.85, 0.25, 0.65], [True, True, False, False]))
    assert found.agreement.value == 0.75
    assert found.balanced_accuracy.value == 0.75
    assert found.auc.value == 1.0
    assert found.brier.value == pytest.approx((0.05**2 + 0.15**2 + 0.25**2 + 0.65**2) / 4)
    assert found.ece.value == pytest.approx((0.05 + 0.15 + 0.25 + 0.65) / 4)
    assert (found.num_steps, found.num_good) == (4, 2)


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([0.1, 0.9], [False, True], 1.0),
        ([0.9, 0.1], [False, True], 0.0),
        ([0.5, 0.5], [False, True], 0.5),
        ([0.5, 0.5, 0.9], [False, True, True], 0.75),
    ],
)
def test_auc_counts_ties_half(scores: list[float], labels: list[bool], expected: float) -> None:
    assert score_steps(steps(scores, labels)).auc.value == expected


def test_auc_with_weights_is_auc_of_the_repeated_steps() -> None:
    rng = np.random.default_rng(3)
    scores, good = rng.integers(0, 5, 40) / 4, rng.integers(0, 2, 40).astype(float)
    weights = rng.integers(0, 4, 40)
    repeated = np.repeat(np.arange(40), weights)
    plain = auc(scores[repeated], good[repeated], np.ones(len(repeated)))
    assert auc(scores, good, weights.astype(float)) == pytest.approx(plain)


def drawn(bias: float, num: int = 20_000, seed: int = 11) -> StepScore:
    """Steps that are good with probability p, by a scorer that says p + bias."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.2, 0.7, num)
    labels = rng.random(num) < p
    return score_steps(
        [
            LabelledStep(problem=i // 4, score=float(s), is_good=bool(y))
            for i, (s, y) in enumerate(zip(p + bias, labels, strict=True))
        ]
    )


def test_a_calibrated_scorer_has_the_ece_of_noise_and_a_biased_one_its_bias() -> None:
    """With 20,000 steps a bin's share is known to about .01: .03 is three standard errors of the
    worst bin, and ECE is a mean over bins."""
    honest, biased = drawn(0.0), drawn(0.2)
    assert honest.ece.value is not None
    assert honest.ece.value < 0.03
    assert biased.ece.value == pytest.approx(0.2, abs=0.03)
    assert biased.auc.value == honest.auc.value  # a shift moves no ranks
    assert biased.brier.value is not None
    assert honest.brier.value is not None
    assert biased.brier.value - honest.brier.value == pytest.approx(0.2**2, abs=0.01)


@pytest.mark.parametrize(("num", "bias"), [(300, 0.0), (300, 0.2), (20_000, 0.2)])
def test_the_interval_of_an_ece_holds_its_value(num: int, bias: float) -> None:
    ece = drawn(bias, num).ece
    assert ece.value is not None
    assert ece.low is not None
    assert ece.high is not None
    assert 0 <= ece.low < ece.value < ece.high


def test_an_ece_of_a_bias_is_covered_as_often_as_it_says() -> None:
    """Of 200 samples of 2,000 steps, whose noise adds nearly nothing to a bias of .2. 95 % of 200
    are 190; fewer than 175 have a chance below 1e-4 if they are covered so often."""
    covered = 0
    for seed in range(200):
        ece = drawn(0.2, 2_000, seed).ece
        assert ece.low is not None
        assert ece.high is not None
        covered += ece.low <= 0.2 <= ece.high
    assert covered >= 175


def test_a_blind_scorer_has_an_auc_of_a_half() -> None:
    """4,000 random scores: the standard error of AUC is .009, 4.5 of them are .04 (p < 1e-5)."""
    rng = np.random.default_rng(2)
    found = score_steps(steps(list(rng.random(4000)), list(rng.random(4000) < 0.5)))
    assert found.auc.value == pytest.approx(0.5, abs=0.04)
    assert found.auc.low is not None
    assert found.auc.high is not None
    assert found.auc.low < found.auc.value < found.auc.high


@pytest.mark.parametrize("label", [True, False])
def test_one_class_alone_has_no_auc(label: bool) -> None:
    found = score_steps(steps([0.2, 0.9], [label, label]))
    assert found.auc.value is None
    assert found.balanced_accuracy.value is None
    assert found.agreement.value == 0.5


def test_no_steps_have_no_scores() -> None:
    found = score_steps([])
    assert found.num_steps == 0
    assert found.ece.value is None
    assert found.auc.value is None
    assert all(b.mean_score is None for b in found.reliability)


def test_scores_of_0_and_1_have_a_bin() -> None:
    found = score_steps(steps([0.0, 1.0, 0.1], [False, True, False]))
    assert [b.num_steps for b in found.reliability] == [1, 1, 0, 0, 0, 0, 0, 0, 0, 1]


def test_one_problem_gives_no_interval() -> None:
    found = score_steps(steps([0.2, 0.9], [False, True], problem="p"))
    assert found.agreement.value == 1.0
    assert found.agreement.low is None
    assert found.auc.low is None


def test_steps_of_one_problem_are_drawn_together() -> None:
    """The same steps have a wider interval when ten of them are one problem."""
    rng = np.random.default_rng(7)
    right = np.repeat(rng.random(30) < 0.6, 10)
    scores = [0.9 if r else 0.1 for r in right]
    labels = [True] * 300
    apart = score_steps(steps(scores, labels)).agreement
    together = score_steps(
        [LabelledStep(problem=i // 10, score=s, is_good=True) for i, s in enumerate(scores)]
    ).agreement
    assert apart.value == together.value
    assert apart.low is not None and apart.high is not None  # noqa: PT018
    assert together.low is not None and together.high is not None  # noqa: PT018
    assert together.high - together.low > 2 * (apart.high - apart.low)
