"""Labels per token: every policy on the same solutions and the same real rollouts.

Policies are replayed on a bank of 256 rollouts at every prefix (`factory.bench.bank`). Scores are
against the oracle; for the rule of relative progress also against what 256 rollouts say. Nothing
was chosen on the problems that are scored, and intervals are 95 % by resampling problems.
"""

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from re import fullmatch
from typing import Any

import numpy as np

from factory.bench.bank import BankSolution, collect
from factory.bench.label_scores import Truth, progress_truth, score
from factory.bench.policies import Replayed, replay
from factory.bench.report import FOLDER, write_report
from factory.core.bisection import BisectHard, MonotoneHard
from factory.core.chain_labeler import PosteriorLabels
from factory.core.chain_planner import ByValue, LabelCosts
from factory.core.curtailment import CurtailedFixedK, CurtailedLabeler
from factory.core.labelers import HardEstimation, Labeler, RelativeProgress
from factory.core.planners import FixedK, KByDifficulty, Planner
from factory.core.posterior import KeepsProgress
from factory.recipes import load_recipe

NUM_PROBLEMS = 150
NUM_ROLLOUTS = 256
SEED = 11
PRICES = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
NUM_RESAMPLES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A planner and the labeler that reads its counts."""

    name: str
    planner: Planner
    labeler: Labeler


def held_out(bank: Sequence[BankSolution]) -> list[BankSolution]:
    """The half of the problems that nothing was chosen on."""
    return [s for s in bank if zlib.crc32(s.problem_id.encode()) % 2]


def choosing(bank: Sequence[BankSolution]) -> list[BankSolution]:
    """The other half."""
    return [s for s in bank if not zlib.crc32(s.problem_id.encode()) % 2]


def run(policy: Policy, solutions: Sequence[BankSolution]) -> list[Replayed]:
    """Replays a policy on all solutions."""
    return [replay(solution, policy.planner, policy.labeler) for solution in solutions]


def default_policy(price: float | None = None) -> Policy:
    """The adaptive recipe, at its own price or another."""
    recipe = load_recipe("adaptive")
    planner = recipe.planner
    assert isinstance(planner, ByValue)
    if price is not None:
        planner = replace(planner, price=price)
    name = "adaptive" if price is None else f"adaptive, price {price:g}"
    return Policy(name=name, planner=planner, labeler=recipe.labeler)


def progress_policy(price: float, cost: float) -> Policy:
    """The chain posterior asked the published question: progress of at least 0.8."""
    costs = LabelCosts(bad_called_good=cost)
    return Policy(
        name=f"chain posterior of progress, price {price:g}, {cost:g}:1",
        planner=ByValue(question=KeepsProgress(), costs=costs, price=price),
        labeler=PosteriorLabels(question=KeepsProgress(), costs=costs),
    )


def fixed_policies() -> list[Policy]:
    """Fixed K with every labeler, its curtailed form, K by difficulty and the binary searches."""
    progress = RelativeProgress()
    policies = [
        Policy(name=f"{name}, K = {k}", planner=FixedK(num_rollouts=k), labeler=labeler)
        for k in (8, 16, 32, 64)
        for name, labeler in (
            ("hard", HardEstimation()),
            ("soft, above 0.5", HardEstimation(above=0.5)),
            ("progress", progress),
            ("half of the root", RootRelative()),
        )
    ]
    return [
        *policies,
        Policy(
            name="progress, K = 32, curtailed",
            planner=CurtailedFixedK(num_rollouts=32, batch=4, labeler=progress),
            labeler=CurtailedLabeler(labeler=progress, num_rollouts=32),
        ),
        Policy(name="progress, K by difficulty", planner=KByDifficulty(), labeler=progress),
        Policy(
            name="hard, K = 32, bisection",
            planner=BisectHard(max_rollouts=32, batch=4),
            labeler=MonotoneHard(),
        ),
        Policy(
            name="omegaprm", planner=BisectHard(max_rollouts=8, batch=8), labeler=MonotoneHard()
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRelative:
    """Good while the share of right rollouts is at least half of the bare problem's."""

    share: float = 0.5

    def __call__(self, chain: Any) -> Any:
        threshold = self.share * (chain.root.mc_score or 0.0)
        return tuple(
            replace(step, label=None if step.mc_score is None else step.mc_score >= threshold)
            for step in HardEstimation()(chain)
        )


def with_intervals(
    policy: Policy, solutions: Sequence[BankSolution], truth: Truth | None = None
) -> dict[str, Any]:
    """A policy's scores, each with its interval over resampled problems; the seed is fixed."""
    replays = run(policy, solutions)
    by_problem: dict[str, list[Replayed]] = {}
    for replayed in replays:
        by_problem.setdefault(replayed.solution.problem_id, []).append(replayed)
    problems = list(by_problem.values())
    rng = np.random.default_rng(0)
    drawn = [
        asdict(score([r for i in rng.integers(len(problems), size=len(problems))
                      for r in problems[i]], truth))
        for _ in range(NUM_RESAMPLES)
    ]  # fmt: skip
    row: dict[str, Any] = {"policy": policy.name, **asdict(score(replays, truth))}
    for field in ("line_accuracy", "first_error_f1", "tokens"):
        low, high = np.quantile([d[field] for d in drawn], (0.025, 0.975))
        row[f"{field}_interval"] = [float(low), float(high)]
    return row


def measure(folder: Path) -> None:
    """Makes or reads the bank, scores all policies and writes `labels.json` and `labels.png`."""
    bank = collect(
        folder / f"bank-{NUM_PROBLEMS}-{NUM_ROLLOUTS}-{SEED}.json",
        num_problems=NUM_PROBLEMS,
        num_rollouts=NUM_ROLLOUTS,
        seed=SEED,
    )
    solutions = held_out(bank)
    fixed = [with_intervals(policy, solutions) for policy in fixed_policies()]
    adaptive = [with_intervals(default_policy(price), solutions) for price in PRICES]
    default = with_intervals(default_policy(), solutions)
    progress = _progress_ratios(solutions)
    at_32 = [row for row in fixed if row["policy"].endswith("K = 32")]
    best_line = max(row["line_accuracy"] for row in at_32)
    best_f1 = max(row["first_error_f1"] for row in at_32)
    _print_table([*fixed, *adaptive, default])
    write_report(
        "labels",
        {
            "num_problems": len({s.problem_id for s in solutions}),
            "num_solutions": len(solutions),
            "num_steps": sum(len(s.lengths) for s in solutions),
            "default_line_accuracy": default["line_accuracy"],
            "default_first_error_f1": default["first_error_f1"],
            "best_fixed32_line_accuracy": best_line,
            "best_fixed32_first_error_f1": best_f1,
            "token_ratio_default_vs_fixed32": at_32[0]["tokens"] / default["tokens"],
            **progress,
            "policies": [*fixed, *adaptive, default],
        },
    )
    _plot(fixed, adaptive, default)


def _progress_ratios(solutions: Sequence[BankSolution]) -> dict[str, Any]:
    """Tokens of the published rule at K = 32 over those of the cheapest posterior as good."""
    rule = Policy(name="rule", planner=FixedK(num_rollouts=32), labeler=RelativeProgress())
    published = score(run(rule, solutions), progress_truth)
    found = [
        score(run(progress_policy(price, cost), solutions), progress_truth)
        for price in PRICES
        for cost in (0.5, 1.0, 2.0, 3.0)
    ]
    same_rates = [
        s.tokens
        for s in found
        if s.false_good <= published.false_good and s.false_bad <= published.false_bad
    ]
    same_error = [s.tokens for s in found if s.line_accuracy >= published.line_accuracy]
    return {
        "token_ratio_at_same_fp_fn_vs_fixed32": published.tokens / min(same_rates)
        if same_rates
        else None,
        "token_ratio_at_same_error_vs_rpe32": published.tokens / min(same_error)
        if same_error
        else None,
        "rpe32_against_256": asdict(published),
    }


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    print(f"{'policy':<32}{'tokens':>8}{'rounds':>8}{'line acc.':>11}{'f. good':>9}{'f. bad':>8}"
          f"{'first-error F1':>16}")  # fmt: skip
    for row in rows:
        low, high = row["first_error_f1_interval"]
        print(
            f"{row['policy']:<32}{row['tokens']:>8,.0f}{row['rounds']:>8.1f}"
            f"{row['line_accuracy']:>11.3f}{row['false_good']:>9.3f}{row['false_bad']:>8.3f}"
            f"{row['first_error_f1']:>8.3f} ({low:.2f}-{high:.2f})"
        )


def _plot(
    fixed: Sequence[dict[str, Any]], adaptive: Sequence[dict[str, Any]], default: dict[str, Any]
) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4.5), sharex=True)
    names = ("hard", "soft, above 0.5", "progress", "half of the root")
    families = {name: [r for r in fixed if fullmatch(f"{name}, K = [0-9]+", r["policy"])]
                for name in names}  # fmt: skip
    fields = {"line_accuracy": "line accuracy", "first_error_f1": "first-error F1"}
    for panel, (field, title) in zip(panels, fields.items(), strict=True):
        for name, rows in families.items():
            panel.plot([r["tokens"] for r in rows], [r[field] for r in rows], "o-", label=name)
        panel.plot(
            [r["tokens"] for r in adaptive], [r[field] for r in adaptive], "k^-", label="adaptive"
        )
        panel.plot(default["tokens"], default[field], "r*", markersize=14, label="default")
        panel.set(xscale="log", xlabel="generated tokens per solution", ylabel=title)
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize=8)
    figure.tight_layout()
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure.savefig(FOLDER / "labels.png", dpi=120)
    print(f"wrote {FOLDER / 'labels.png'}")
