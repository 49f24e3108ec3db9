"""E-values and intervals keep their promises by enumeration: no test here is random."""

from itertools import product
from math import comb, exp, inf, log

import numpy as np
import pytest

from factory.core.chain import Counts
from factory.core.evalues import StepProof, progress_interval, prove, value_interval

TAU = 0.8
GRID = np.linspace(0, 1, 21)


def c(num_correct: int, num_rollouts: int) -> Counts:
    return Counts(num_correct=num_correct, num_rollouts=num_rollouts, num_issued=num_rollouts)


def pmf(num_rollouts: int, value: float) -> np.ndarray:
    k = np.arange(num_rollouts + 1)
    ways = np.array([comb(num_rollouts, int(i)) for i in k])
    return ways * value**k * (1 - value) ** (num_rollouts - k)


def e_values(before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """E-values against "bad" and against "good", by right answers before and after."""
    proofs = [[prove(c(i, before), c(j, after), TAU) for j in range(after + 1)]
              for i in range(before + 1)]  # fmt: skip
    return (
        np.array([[exp(p.log_e_good) for p in row] for row in proofs]),
        np.array([[exp(p.log_e_bad) for p in row] for row in proofs]),
    )


@pytest.mark.parametrize(("before", "after"), [(1, 1), (2, 6), (6, 2), (4, 4), (12, 12), (16, 5)])
def test_the_mean_e_value_is_at_most_1_under_every_null(before: int, after: int) -> None:
    """The largest mean found is 0.46, for one rollout on both sides and a value of 1 before."""
    good, bad = e_values(before, after)
    for p, q in product(GRID, GRID):
        weights = np.outer(pmf(before, p), pmf(after, q))
        if q <= TAU * p:
            assert (weights * good).sum() <= 0.5
        if q >= TAU * p:
            assert (weights * bad).sum() <= 0.5


@pytest.mark.parametrize("alpha", [0.05, 0.1])
@pytest.mark.parametrize("side", ["good", "bad"])
def test_peeking_after_every_rollout_errs_at_most_alpha(alpha: float, side: str) -> None:
    """Exact, on the null's boundary: in turn, 18 on each side, stopped at the first proof."""
    horizon = 18
    for p in GRID[2::3]:
        q = TAU * p
        open_ = {(0, 0): 1.0}
        proven = 0.0
        for turn in range(2 * horizon):
            is_after = turn % 2
            value = q if is_after else p
            moved: dict[tuple[int, int], float] = {}
            for (i, j), weight in open_.items():
                for hit, chance in ((1, value), (0, 1 - value)):
                    state = (i, j + hit) if is_after else (i + hit, j)
                    moved[state] = moved.get(state, 0.0) + weight * chance
            sizes = (turn // 2 + 1, (turn + 1) // 2)
            open_ = {}
            for (i, j), weight in moved.items():
                proof = prove(c(i, sizes[0]), c(j, sizes[1]), TAU)
                if proof.label(alpha) is (side == "good"):
                    proven += weight
                else:
                    open_[i, j] = weight
        assert proven <= alpha


def test_one_more_right_answer_after_the_step_never_weakens_good_nor_strengthens_bad() -> None:
    """Beyond the boundary; on its wrong side an e-value below 1 may move either way."""
    for before, after in [(3, 3), (8, 12), (12, 8)]:
        good, bad = (np.log(e) for e in e_values(before, after))
        for i, j in product(range(before + 1), range(after)):
            if j * before >= TAU * i * after:
                assert good[i, j + 1] >= good[i, j] - 1e-9
            if (j + 1) * before <= TAU * i * after:
                assert bad[i, j + 1] <= bad[i, j] + 1e-9


@pytest.mark.parametrize("threshold", [0.3, 0.8, 1.0, 1.7])
def test_the_null_likelihood_is_the_largest_there_is(threshold: float) -> None:
    """Against a fine grid of both values: never below it, and hardly above."""
    fine = np.linspace(0, 1, 401)
    p, q = np.meshgrid(fine, fine, indexing="ij")
    is_bad = q <= threshold * p + 1e-12
    is_good = q >= threshold * p - 1e-12

    def log_lik(s: int, n: int, value: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            right = np.where(s > 0, s * np.log(value), 0.0)
            return right + np.where(n > s, (n - s) * np.log(1 - value), 0.0)

    free = prove(Counts(), Counts())
    assert free == StepProof(log_e_good=0.0, log_e_bad=0.0)
    for s0, n0, s1, n1 in [(3, 4, 1, 5), (0, 4, 3, 5), (4, 4, 5, 5), (2, 9, 2, 3), (5, 6, 0, 7)]:
        lik = log_lik(s0, n0, p) + log_lik(s1, n1, q)
        proof = prove(c(s0, n0), c(s1, n1), threshold)
        mixture = sum(_log_mixture_by_quadrature(s, n) for s, n in [(s0, n0), (s1, n1)])
        for log_e, null in [(proof.log_e_good, is_bad), (proof.log_e_bad, is_good)]:
            largest = lik[null].max()
            assert mixture - log_e >= largest - 1e-6
            assert mixture - log_e <= largest + 0.02


def _log_mixture_by_quadrature(num_correct: int, num_rollouts: int) -> float:
    """With p = sin^2 x the Beta(1/2, 1/2) mixture is uniform in x."""
    x = (np.arange(20000) + 0.5) / 20000 * np.pi / 2
    p = np.sin(x) ** 2
    return log(float(np.mean(p**num_correct * (1 - p) ** (num_rollouts - num_correct))))


def test_clear_cases_are_proven() -> None:
    assert prove(c(30, 32), c(0, 32)).label(0.05) is False
    assert prove(c(128, 128), c(128, 128)).label(0.05) is True
    assert prove(c(30, 32), c(31, 32)).label(0.05) is None


@pytest.mark.parametrize("pair", [(c(0, 0), c(8, 8)), (c(8, 8), c(0, 0)), (c(0, 0), c(0, 8))])
def test_one_sided_counts_prove_nothing(pair: tuple[Counts, Counts]) -> None:
    proof = prove(*pair)
    assert max(proof.log_e_good, proof.log_e_bad) <= 0
    assert progress_interval(*pair).high == inf


def test_two_zeros_prove_nothing() -> None:
    assert prove(c(0, 500), c(0, 500)).label(0.1) is None


def test_ungraded_rollouts_do_not_count() -> None:
    half = Counts(num_correct=3, num_rollouts=6, num_issued=12)
    assert prove(half, half) == prove(c(3, 6), c(3, 6))


def test_the_value_interval_covers_at_all_times() -> None:
    """Exact: it ever misses within 60 rollouts with probability below 0.1."""
    misses_at = {
        (s, n): value_interval(c(s, n)) for n in range(1, 61) for s in range(n + 1)
    }  # fmt: skip
    for p in GRID:
        inside, missed = {0: 1.0}, 0.0
        for n in range(1, 61):
            moved: dict[int, float] = {}
            for s, weight in inside.items():
                moved[s] = moved.get(s, 0.0) + weight * (1 - p)
                moved[s + 1] = moved.get(s + 1, 0.0) + weight * p
            inside = {}
            for s, weight in moved.items():
                interval = misses_at[s, n]
                if interval.low <= p <= interval.high:
                    inside[s] = weight
                else:
                    missed += weight
        assert missed <= 0.1


def test_an_interval_holds_the_share_and_narrows() -> None:
    assert value_interval(Counts()).low == 0.0
    assert value_interval(Counts()).high == 1.0
    widths = []
    for n in (4, 16, 64, 256):
        interval = value_interval(c(n // 4, n))
        assert 0 <= interval.low <= 0.25 <= interval.high <= 1
        widths.append(interval.high - interval.low)
    assert widths == sorted(widths, reverse=True)
    assert value_interval(c(8, 8)).high == 1.0
    assert value_interval(c(0, 8)).low == 0.0


def test_the_progress_interval_is_what_the_e_values_refute() -> None:
    for i, j in product(range(0, 9, 2), range(0, 13, 3)):
        before, after = c(i, 8), c(j, 12)
        interval = progress_interval(before, after)
        if interval.low > 0:
            assert prove(before, after, interval.low * 0.999).log_e_good > log(10)
            assert prove(before, after, interval.low * 1.001).log_e_good < log(10)
        else:
            assert j == 0
        if interval.high < inf:
            assert prove(before, after, interval.high * 1.001).log_e_bad > log(10)
            assert prove(before, after, interval.high * 0.999).log_e_bad < log(10)
        else:
            assert i == 0


def test_an_impossible_threshold_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold must be above 0, not 0"):
        prove(c(1, 1), c(1, 1), 0)
