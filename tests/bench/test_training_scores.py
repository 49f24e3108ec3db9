"""What a handful of trainings comes to: means over seeds, and differences on the same problems."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from factory.bench.training_pairs import difference
from factory.bench.training_plot import plot_best_of_8, plot_first_errors
from factory.bench.training_scores import METHODS, Z_95, Mean, Summary, combined


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


@pytest.mark.parametrize("draw", [plot_first_errors, partial(plot_best_of_8, majority=0.6)])
def test_pictures_show_every_recipe_best_on_top(
    draw: Callable[[list[Summary], Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib import pyplot

    monkeypatch.setattr(pyplot, "close", lambda figure: None)
    rows = [summary("oracle", 0.8), summary("hard", 0.6), summary("adaptive", 0.7)]
    draw(rows, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 0
    for axis in pyplot.gcf().axes:
        names = [label.get_text() for label in axis.get_yticklabels()]
        assert names == ["hard (10)", "adaptive (10)", "oracle (10)"]


def summary(recipe: str, value: float) -> Summary:
    mean = Mean(value=value, low=value - 0.1, high=value + 0.1)
    return Summary(
        recipe=recipe,
        condition="all solutions",
        num_seeds=1,
        num_solutions=20,
        num_rows=10,
        num_tokens=100,
        first_error_f1=mean,
        best_of_8=dict.fromkeys(METHODS, mean),
        gain_over_majority=dict.fromkeys(METHODS, mean),
    )
