"""Labels per token: every policy on the same solutions and the same real rollouts.

Policies are replayed on banks of many rollouts at every prefix (`factory.bench.bank`), several
hundred problems each. The default's values were chosen on the problems of one seed; it is scored
on those of the others. Intervals are 95 % by resampling problems, the same resamples for all.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from factory.bench.bank import BankOrder, BankSolution, collect
from factory.bench.label_plots import plot_frontier, print_table
from factory.bench.label_policies import (
    PRICES,
    Policy,
    default_policy,
    fixed_policies,
    progress_policies,
    run,
)
from factory.bench.label_scores import (
    Array,
    Scores,
    as_row,
    interval,
    progress_truth,
    resampled,
    score,
    sums,
)
from factory.bench.label_walls import measure_walls
from factory.bench.report import FOLDER, write_report

CHOOSING_SEED = 11
"""The problems on which question, costs and price of the adaptive recipe were chosen."""
SCORING_SEEDS = (12, 13)
NUM_PROBLEMS, NUM_ROLLOUTS = 200, 128
TRUTH_SEEDS = (14, 15)
"""Banks deep enough to tell what the rule of relative progress says at K = 256."""
NUM_TRUTH_PROBLEMS, NUM_TRUTH_ROLLOUTS = 100, 256


def measure(folder: Path) -> None:
    """Makes or reads the banks, scores all policies and writes `labels.json` and `labels.png`."""
    banks = {seed: _bank(folder, seed, NUM_PROBLEMS, NUM_ROLLOUTS) for seed in SCORING_SEEDS}
    solutions = [solution for bank in banks.values() for solution in bank]
    fixed = fixed_policies()
    priced = [default_policy(price) for price in PRICES]
    default = default_policy()
    found = {p.name: sums(run(p, solutions)) for p in (*fixed, *priced, default)}
    rows = [as_row(name, sums_P12) for name, sums_P12 in found.items()]
    print_table(rows)
    against = _against_fixed32(found, default.name)
    print(
        f"default against the best labeler at K = 32: line accuracy "
        f"{against['line_accuracy_gain']:+.3f} {_range(against['line_accuracy_gain_interval'])}, "
        f"first-error F1 {against['first_error_f1_gain']:+.3f} "
        f"{_range(against['first_error_f1_gain_interval'])}, "
        f"{against['token_ratio_default_vs_fixed32']:.1f} times fewer tokens"
    )
    progress = _progress_ratios(folder)
    walls = measure_walls(folder / "walls")
    write_report(
        "labels",
        {
            "num_problems": len({s.problem_id for s in solutions}),
            "num_solutions": len(solutions),
            "num_steps": sum(len(s.lengths) for s in solutions),
            **against,
            **progress,
            **walls,
            "by_seed": {seed: _of_seed(bank, fixed, default) for seed, bank in banks.items()},
            "policies": rows,
        },
    )
    plot_frontier(rows, default.name, FOLDER / "labels.png")


def _bank(folder: Path, seed: int, num_problems: int, num_rollouts: int) -> list[BankSolution]:
    return collect(
        folder / f"bank-{num_problems}-{num_rollouts}-{seed}.json",
        BankOrder(num_problems=num_problems, num_rollouts=num_rollouts, seed=seed),
    )


def _against_fixed32(found: dict[str, Array], default: str) -> dict[str, Any]:
    """The default beside the best of the labelers that read 32 rollouts at every prefix."""
    at_32 = {name: sums_P12 for name, sums_P12 in found.items() if name.endswith("K = 32")}
    ours, drawn = score(found[default]), resampled(found[default])
    figures: dict[str, Any] = {}
    for field in ("line_accuracy", "first_error_f1"):
        best = max(at_32, key=lambda name, field=field: getattr(score(at_32[name]), field))
        theirs = getattr(score(at_32[best]), field)
        gains = np.asarray(getattr(drawn, field)) - getattr(resampled(at_32[best]), field)
        figures |= {
            f"default_{field}": float(getattr(ours, field)),
            f"best_fixed32_{field}": float(theirs),
            f"best_fixed32_by_{field}": best,
            f"{field}_gain": float(getattr(ours, field) - theirs),
            f"{field}_gain_interval": interval(gains),
        }
    one = next(iter(at_32.values()))
    ratios = np.asarray(resampled(one).tokens) / drawn.tokens
    figures["token_ratio_default_vs_fixed32"] = float(score(one).tokens / ours.tokens)
    figures["token_ratio_default_vs_fixed32_interval"] = interval(ratios)
    return figures


def _of_seed(
    bank: Sequence[BankSolution], fixed: Sequence[Policy], default: Policy
) -> dict[str, Any]:
    """The same comparison on the problems of one seed."""
    chosen = [p for p in fixed if p.name.endswith("K = 32")]
    return _against_fixed32({p.name: sums(run(p, bank)) for p in (*chosen, default)}, default.name)


def _progress_ratios(folder: Path) -> dict[str, Any]:
    """Tokens of the published rule at K = 32 over those of the cheapest posterior as good.

    The truth is the rule at 256 rollouts. Both sides share rollouts with it, the rule more than
    the posterior. In each resample the cheapest is sought anew, so the interval covers the search.
    """
    solutions = [
        solution
        for seed in TRUTH_SEEDS
        for solution in _bank(folder, seed, NUM_TRUTH_PROBLEMS, NUM_TRUTH_ROLLOUTS)
    ]
    rule = next(p for p in fixed_policies() if p.name == "progress, K = 32")
    published = sums(run(rule, solutions), progress_truth)
    others = [sums(run(p, solutions), progress_truth) for p in progress_policies()]
    figures: dict[str, Any] = {"rpe32_against_256": as_row(rule.name, published)}
    for name, is_as_good in (
        ("same_fp_fn_vs_fixed32", _same_rates),
        ("same_error_vs_rpe32", _same_error),
    ):
        found = _cheapest(score(published), [score(o) for o in others], is_as_good)
        drawn = _cheapest(resampled(published), [resampled(o) for o in others], is_as_good)
        figures[f"token_ratio_at_{name}"] = None if np.isnan(found) else float(found)
        figures[f"token_ratio_at_{name}_interval"] = interval(drawn)
        figures[f"token_ratio_at_{name}_reached"] = float(1 - np.isnan(drawn).mean())
        print(f"token ratio at {name}: {found:.1f} {_range(interval(drawn))}")
    return figures


def _same_rates(ours: Scores, theirs: Scores) -> Any:
    no_more_good = np.asarray(ours.false_good) <= theirs.false_good
    return no_more_good & (np.asarray(ours.false_bad) <= theirs.false_bad)


def _same_error(ours: Scores, theirs: Scores) -> Any:
    return np.asarray(ours.line_accuracy) >= theirs.line_accuracy


def _cheapest(theirs: Scores, ours: Sequence[Scores], is_as_good: Any) -> Any:
    """Tokens of theirs over the fewest of ours that are as good; NaN where none is."""
    tokens = [np.where(is_as_good(o, theirs), o.tokens, np.inf) for o in ours]
    fewest = np.min(np.stack([np.asarray(t) for t in tokens]), axis=0)
    return np.where(np.isfinite(fewest), theirs.tokens / fewest, np.nan)


def _range(bounds: Sequence[float]) -> str:
    return f"({bounds[0]:.2f} to {bounds[1]:.2f})"
