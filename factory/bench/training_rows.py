"""Rows to train on: the same solutions as different recipes label them, and what that costs.

Tokens are those of rollouts and of the teacher. Sampling the solutions costs every recipe the same
and is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from factory.bench.bank import BankSolution
from factory.bench.critics import Criticism
from factory.bench.label_policies import Policy, default_policy
from factory.bench.replay import replay
from factory.core.bisection import BisectHard, MonotoneHard
from factory.core.chain_planner import ByValue
from factory.core.consensus import Consensus
from factory.core.labelers import HardEstimation, RelativeProgress, StepLabel
from factory.core.planners import FixedK

MAX_ROLLOUTS = 16
"""At a prefix: no recipe is given more, the adaptive one included."""
ORACLE = "oracle"
TEACHER = "teacher alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRow:
    """One solution as one recipe labels it; `row` is `None` where the recipe discards it."""

    problem_id: str
    row: dict[str, Any] | None
    num_tokens: int


Recipe = Callable[[BankSolution, Criticism], LabelledRow]


def recipes() -> dict[str, Recipe]:
    """The recipes compared, the ceiling last."""
    progress, hard = RelativeProgress(), HardEstimation()
    few, many = FixedK(num_rollouts=8), FixedK(num_rollouts=MAX_ROLLOUTS)
    adaptive = default_policy()
    assert isinstance(adaptive.planner, ByValue)
    rolled = [
        Policy(name="hard, K = 8", planner=few, labeler=hard),
        Policy(name=f"hard, K = {MAX_ROLLOUTS}", planner=many, labeler=hard),
        Policy(
            name="hard, bisection",
            planner=BisectHard(max_rollouts=8, batch=8),
            labeler=MonotoneHard(),
        ),
        Policy(name=f"progress, K = {MAX_ROLLOUTS}", planner=many, labeler=progress),
        replace(adaptive, planner=replace(adaptive.planner, max_rollouts=MAX_ROLLOUTS)),
    ]
    both = (f"hard, K = {MAX_ROLLOUTS}", f"progress, K = {MAX_ROLLOUTS}", "adaptive")
    agreeing = [policy for policy in rolled if policy.name in both]
    return {
        **{policy.name: _by_rollouts(policy) for policy in rolled},
        **{f"{policy.name} + teacher": _by_both(policy) for policy in agreeing},
        TEACHER: _by_teacher,
        ORACLE: _by_oracle,
    }


def _by_rollouts(policy: Policy) -> Recipe:
    def recipe(solution: BankSolution, criticism: Criticism) -> LabelledRow:
        found = replay(solution, policy.planner, policy.labeler)
        return _row(solution, found.labels, found.num_tokens)

    return recipe


def _by_both(policy: Policy) -> Recipe:
    def recipe(solution: BankSolution, criticism: Criticism) -> LabelledRow:
        found = replay(solution, policy.planner, policy.labeler)
        labels = [_decided(label) for label in found.labels]
        decision = Consensus()(labels, criticism.reading, criticism.num_tokens)
        num_tokens = found.num_tokens + criticism.num_tokens
        return _row(solution, found.labels if decision.keep else (), num_tokens)

    return recipe


def _by_teacher(solution: BankSolution, criticism: Criticism) -> LabelledRow:
    labels = [StepLabel(label=v, mc_score=None, progress=None) for v in criticism.verdicts]
    return _row(solution, labels, criticism.num_tokens)


def _by_oracle(solution: BankSolution, criticism: Criticism) -> LabelledRow:
    error = solution.first_error
    verdicts = [True] * len(solution.steps) if error is None else [True] * error + [False]
    labels = [StepLabel(label=v, mc_score=None, progress=None) for v in verdicts]
    return _row(solution, labels, 0)


def _decided(label: StepLabel) -> bool | None:
    return None if label.is_decided is False else label.label


def _row(solution: BankSolution, labels: Sequence[StepLabel], num_tokens: int) -> LabelledRow:
    """A row as datasets have it; labels that end early are followed by steps without one."""
    if not labels:
        return LabelledRow(problem_id=solution.problem_id, row=None, num_tokens=num_tokens)
    missing = [None] * (len(solution.steps) - len(labels))
    row = {
        "prompt": solution.question,
        "completions": solution.steps,
        "step_labels": [label.label for label in labels] + missing,
        "is_decided": [label.is_decided for label in labels] + missing,
        "value_means": [label.value_mean for label in labels] + missing,
    }
    return LabelledRow(problem_id=solution.problem_id, row=row, num_tokens=num_tokens)
