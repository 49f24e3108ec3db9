"""What a handful of trainings comes to: means over seeds, and differences on the same problems."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from factory.bench.training_pairs import difference
from factory.bench.training_plot import plot_best_of_8, plot_first_errors, print_table
from factory.bench.training_scores import (
    F1,
    METHODS,
    Mean,
    SeedSpread,
    Summary,
    Z,
    combined,
    pooled,
    seed_share,
    seed_spreads,
    summarise,
)

NOTHING = SeedSpread(variance=0.0, num_free=0)


def test_variances_within_recipes_are_pooled_by_their_degrees_of_freedom() -> None:
    spread = pooled([[0.5, 0.6], [0.1, 0.1, 0.4], [0.9], []])
    assert spread.num_free == 3
    assert spread.variance == pytest.approx((0.005 + 0.06) / 3)
    assert pooled([[0.5], []]) == NOTHING


def test_the_spread_between_seeds_adds_to_that_between_problems() -> None:
    seeds = [estimate(0.5), estimate(0.6)]
    mean = combined(seeds, SeedSpread(variance=0.005, num_free=4), 1 / 2)
    assert mean.value == pytest.approx(0.55)
    quantile = t.ppf(0.975, 4)
    assert mean.high - mean.value == pytest.approx(((Z * 0.03) ** 2 + quantile**2 * 0.0025) ** 0.5)


def test_intervals_of_two_seeds_hold_the_truth_as_often_as_they_say() -> None:
    """Ten recipes, two seeds, nothing but seeds varies. 95 % of 1,000 draws, within 5 standard
    errors: pooled values share their spread, so the worlds are drawn, not the recipes."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        values = rng.normal(0.7, 0.03, (10, 2))
        spread = pooled(values.tolist())
        seeds = [{"value": v, "low": v, "high": v} for v in values[0]]
        mean = combined(seeds, spread, 1 / 2)
        covered += mean.low <= 0.7 <= mean.high
    assert abs(covered / 1000 - 0.95) < 5 * (0.95 * 0.05 / 1000) ** 0.5


def test_what_was_not_trained_has_no_seeds() -> None:
    trained = {"recipe": "hard", "condition": "all", "num_rows": 5}
    untrained = {"recipe": "no labels", "condition": "all", "num_rows": 0}
    runs = [(trained, {F1: estimate(0.5)}), (trained, {F1: estimate(0.6)})]
    runs += [(untrained, {F1: estimate(0.8)})] * 2
    spread = seed_spreads(runs)["all"][F1]
    assert (spread.num_free, spread.variance) == (1, pytest.approx(0.005))
    assert (seed_share([trained, trained]), seed_share([untrained, untrained])) == (0.5, 0.0)


def test_a_summary_reads_the_families_that_did_not_choose_the_threshold() -> None:
    run = {"recipe": "hard", "condition": "all", "num_solutions": 4, "num_rows": 3, "num_tokens": 9}
    [row] = summarise([(run, report(0.5, 0.9)), (run, report(0.6, 0.9))])
    assert row.values[F1].value == pytest.approx(0.55)
    assert row.values["vote-min"].value == pytest.approx(0.7)
    assert row.over_majority["vote-min"].value == pytest.approx(0.1)
    assert (row.num_seeds, row.num_rows) == (2, 3)


def test_what_both_owe_to_the_problems_drawn_is_not_in_their_difference() -> None:
    hard = np.random.default_rng(0).normal(0.6, 0.05, 1000)
    same = difference(
        [hard + 0.1, hard + 0.1], [hard, hard], [(0.7, 0.6), (0.7, 0.6)], NOTHING, 1.0
    )
    assert (same.low, same.high) == (pytest.approx(0.1), pytest.approx(0.1))
    other = np.random.default_rng(1).normal(0.7, 0.05, 1000)
    apart = difference([other], [hard], [(0.7, 0.6)], NOTHING, 2.0)
    assert apart.high - apart.value == pytest.approx(Z * 0.05 * 2**0.5, rel=0.1)


def test_the_seeds_of_both_widen_a_difference() -> None:
    flat = np.full(1000, 0.6)
    spread = SeedSpread(variance=0.005, num_free=10)
    mean = difference([flat, flat], [flat, flat], [(0.7, 0.6), (0.6, 0.6)], spread, 1.0)
    assert mean.value == pytest.approx(0.05)
    assert mean.high - mean.value == pytest.approx(t.ppf(0.975, 10) * 0.005**0.5)


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
    axes = pyplot.gcf().axes
    assert axes
    for axis in axes:
        names = [label.get_text() for label in axis.get_yticklabels()]
        assert names == ["hard (10)", "adaptive (10)", "oracle (10)"]


def test_the_table_has_the_best_f1_first(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([summary("hard", 0.6), summary("adaptive", 0.7)])
    header, first, second = capsys.readouterr().out.splitlines()
    assert (first.split()[2], second.split()[2]) == ("adaptive", "hard")
    assert "0.700 (0.600, 0.800)" in first
    assert "+0.700" in first
    assert header.count("over hard, K = 8") == 2


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - Z * 0.03, "high": value + Z * 0.03}


def report(held_out: float, average: float) -> Mapping[str, Any]:
    method = {"accuracy": estimate(0.7), "gain": estimate(0.1)}
    return {
        "processbench": {"held_out_f1": estimate(held_out), "average_f1": estimate(average)},
        "best_of": {"methods": [{"method": name, **method} for name in METHODS]},
    }


def summary(recipe: str, value: float) -> Summary:
    mean = Mean(value=value, low=value - 0.1, high=value + 0.1)
    return Summary(
        recipe=recipe,
        condition="all solutions",
        num_seeds=1,
        num_solutions=20,
        num_rows=10,
        num_tokens=100,
        values=dict.fromkeys((F1, *METHODS), mean),
        over_majority=dict.fromkeys(METHODS, mean),
    )
