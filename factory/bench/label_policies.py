"""The policies whose labels are compared: a planner each, and the labeler that reads its counts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from factory.bench.bank import BankSolution
from factory.bench.replay import Replayed, replay
from factory.core.bisection import BisectHard, MonotoneHard
from factory.core.chain_labeler import PosteriorLabels
from factory.core.chain_planner import ByValue, LabelCosts
from factory.core.curtailment import CurtailedFixedK, CurtailedLabeler
from factory.core.labelers import HardEstimation, Labeler, RelativeProgress
from factory.core.planners import FixedK, KByDifficulty, Planner
from factory.core.posterior import KeepsProgress
from factory.recipes import load_recipe

PRICES = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
FAMILIES = ("hard", "soft, above 0.5", "progress", "half of the root")
"""Labelers that read a fixed K at every prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A planner and the labeler that reads its counts."""

    name: str
    planner: Planner
    labeler: Labeler


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


def progress_policies() -> list[Policy]:
    """The chain posterior asked the published question, progress of at least 0.8, at each cost."""
    return [
        Policy(
            name=f"chain posterior of progress, price {price:g}, {cost:g}:1",
            planner=ByValue(question=KeepsProgress(), costs=costs, price=price),
            labeler=PosteriorLabels(question=KeepsProgress(), costs=costs),
        )
        for price in PRICES
        for cost in (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0)
        for costs in [LabelCosts(bad_called_good=cost)]
    ]


def fixed_policies() -> list[Policy]:
    """Fixed K with every labeler, its curtailed form, K by difficulty and the binary searches."""
    progress = RelativeProgress()
    labelers = (HardEstimation(), HardEstimation(above=0.5), progress, RootRelative())
    policies = [
        Policy(name=f"{name}, K = {k}", planner=FixedK(num_rollouts=k), labeler=labeler)
        for k in (8, 16, 32, 64)
        for name, labeler in zip(FAMILIES, labelers, strict=True)
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
