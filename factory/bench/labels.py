"""Labels per token: every policy on the same solutions and the same real rollouts.

Policies are replayed on a bank of 256 rollouts at every prefix (`factory.bench.bank`). Scores are
against the oracle; for the published rule of relative progress also against what 256 rollouts say.
Intervals are 95 % by resampling problems.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factory.bench.bank import BankSolution
from factory.bench.label_scores import score
from factory.bench.policies import Replayed, replay
from factory.core.labelers import Labeler
from factory.core.planners import Planner

PRICES = (0.03, 0.01, 0.003, 0.001, 0.0003)
NUM_RESAMPLES = 500


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


def with_interval(replays: Sequence[Replayed], field: str) -> tuple[float, float]:
    """95 % interval of a score by resampling problems; the seed is fixed."""
    by_problem: dict[str, list[Replayed]] = {}
    for replayed in replays:
        by_problem.setdefault(replayed.solution.problem_id, []).append(replayed)
    problems = list(by_problem.values())
    rng = np.random.default_rng(0)
    values = []
    for _ in range(NUM_RESAMPLES):
        drawn = rng.integers(len(problems), size=len(problems))
        values.append(getattr(score([r for i in drawn for r in problems[i]]), field))
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
