"""What a handful of trainings comes to: means over seeds, and differences on the same problems."""

import numpy as np
import pytest

from factory.bench.training_pairs import difference
from factory.bench.training_scores import Z_95, combined


def test_the_spread_between_seeds_adds_to_that_between_problems() -> None:
    seeds = [{"value": v, "low": v - Z_95 * 0.03, "high": v + Z_95 * 0.03} for v in (0.5, 0.6)]
    mean = combined(seeds)
    assert mean.value == pytest.approx(0.55)
    assert mean.high - mean.value == pytest.approx(Z_95 * (0.03**2 + 0.005 / 2) ** 0.5)


def test_what_both_owe_to_the_problems_drawn_is_not_in_their_difference() -> None:
    hard = np.random.default_rng(0).normal(0.6, 0.05, 1000)
    same = difference([hard + 0.1, hard + 0.1], [hard, hard], [(0.7, 0.6), (0.7, 0.6)])
    assert (same.low, same.high) == (pytest.approx(0.1), pytest.approx(0.1))
    other = np.random.default_rng(1).normal(0.7, 0.05, 1000)
    apart = difference([other], [hard], [(0.7, 0.6)])
    assert apart.high - apart.value == pytest.approx(Z_95 * 0.05 * 2**0.5, rel=0.1)


def test_seeds_that_disagree_widen_a_difference() -> None:
    flat = np.full(1000, 0.6)
    mean = difference([flat, flat], [flat, flat], [(0.7, 0.6), (0.6, 0.6)])
    assert mean.value == pytest.approx(0.05)
    assert mean.high - mean.value == pytest.approx(Z_95 * 0.05)
