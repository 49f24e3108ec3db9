"""Replaying policies on a bank of rollouts: what a planner would buy, and what its labels say."""

from dataclasses import dataclass

from factory.bench.bank import BankSolution
from factory.core.chain import Chain, Counts
from factory.core.labelers import Labeler, StepLabel
from factory.core.labelers import first_error as first_bad
from factory.core.planners import Planner


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One solution under one policy."""

    solution: BankSolution
    labels: tuple[StepLabel, ...]
    num_tokens: int
    num_rollouts: int
    num_rounds: int

    @property
    def first_error(self) -> int | None:
        """Index of the first step labelled bad."""
        return first_bad(self.labels)


def chain_at(solution: BankSolution, issued: list[int]) -> Chain:
    """The chain after so many rollouts at each prefix."""
    steps = [p.counts(n) for p, n in zip(solution.prefixes, issued, strict=True)]
    return Chain(
        root=solution.root,
        steps=(*steps, Counts()),
        is_correct=solution.is_correct,
        is_on_policy=True,
        lengths=tuple(solution.lengths),
    )


def replay(solution: BankSolution, planner: Planner, labeler: Labeler) -> Replayed:
    """Runs the planner against the bank, then labels what it counted."""
    issued = [0] * len(solution.prefixes)
    num_rounds = 0
    while plan := planner.plan(chain_at(solution, issued)):
        num_rounds += 1
        for prefix, num_rollouts in plan.items():
            issued[prefix - 1] += num_rollouts
        for prefix, total in zip(solution.prefixes, issued, strict=True):
            if total > len(prefix.is_right):
                raise ValueError(f"the policy wants {total} rollouts, the bank has fewer")
    return Replayed(
        solution=solution,
        labels=labeler(chain_at(solution, issued)),
        num_tokens=sum(
            sum(p.num_tokens[:n]) for p, n in zip(solution.prefixes, issued, strict=True)
        ),
        num_rollouts=sum(issued),
        num_rounds=num_rounds,
    )
