"""What to ask next: rollouts per prefix as a pure function of the counts so far.

A planner is asked again after each whole round; it never sees part of one. An empty plan means
that the solution is done.
"""

from dataclasses import dataclass
from typing import Protocol

from factory.core.chain import Chain, Counts
from schemas.records import StopReason

Plan = dict[int, int]
"""Additional rollouts by prefix (number of steps; 0 is the bare problem)."""


class Planner(Protocol):
    """A policy for buying rollouts."""

    def plan(self, chain: Chain) -> Plan:
        """The next round for this chain; empty when nothing more is wanted."""
        ...

    def stop_reason(self, counts: Counts) -> StopReason:
        """Why a prefix with these counts gets no further rollouts."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRollouts:
    """Nothing is bought: solutions come with their labels, and no completer is needed."""

    def plan(self, chain: Chain) -> Plan:
        return {}

    def stop_reason(self, counts: Counts) -> StopReason:
        return StopReason.GIVEN


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedK:
    """K rollouts at every prefix, in one round (Math-Shepherd uses 8)."""

    num_rollouts: int

    def __post_init__(self) -> None:
        _at_least_one(num_rollouts=self.num_rollouts)

    def plan(self, chain: Chain) -> Plan:
        return up_to(self.num_rollouts, chain)

    def stop_reason(self, counts: Counts) -> StopReason:
        return StopReason.FIXED


@dataclass(frozen=True, slots=True, kw_only=True)
class KByDifficulty:
    """More rollouts where the problem is hard: GenPRM eq. 9 (arXiv 2504.00891).

    K = 128 for a pass rate in [0, 0.1), 64 in [0.1, 0.9), 32 from 0.9 on. A pass rate of 1 is
    undefined in the paper and gets the last K. Without any rollouts at the bare problem,
    `num_root` of them are bought there first; if none of them can be graded, K is the first.
    """

    num_rollouts_hard: int = 128
    num_rollouts_medium: int = 64
    num_rollouts_easy: int = 32
    medium_from: float = 0.1
    easy_from: float = 0.9
    num_root: int = 32

    def __post_init__(self) -> None:
        _at_least_one(
            num_rollouts_hard=self.num_rollouts_hard,
            num_rollouts_medium=self.num_rollouts_medium,
            num_rollouts_easy=self.num_rollouts_easy,
            num_root=self.num_root,
        )
        if not 0 <= self.medium_from <= self.easy_from <= 1:
            raise ValueError(
                f"bands must rise within [0, 1], not {self.medium_from}, {self.easy_from}"
            )

    def num_rollouts(self, pass_rate: float) -> int:
        """K for a problem with this pass rate."""
        if pass_rate >= self.easy_from:
            return self.num_rollouts_easy
        return self.num_rollouts_medium if pass_rate >= self.medium_from else self.num_rollouts_hard

    def plan(self, chain: Chain) -> Plan:
        if chain.root.num_issued == 0:
            return {0: self.num_root}
        return up_to(self.num_rollouts(chain.root.mc_score or 0.0), chain)

    def stop_reason(self, counts: Counts) -> StopReason:
        return StopReason.FIXED


@dataclass(frozen=True, slots=True, kw_only=True)
class UntilFirstSuccess:
    """Stop at the first right answer: the labels of hard estimation for fewer rollouts.

    The label of HE with K = `max_rollouts` depends only on whether any of the K is right, and the
    rollouts are the same ones in the same order, so the labels are identical. MC scores are not:
    stopping on success biases the share upwards. Each round asks for `batch` more.
    """

    max_rollouts: int = 8
    batch: int = 4

    def __post_init__(self) -> None:
        _at_least_one(max_rollouts=self.max_rollouts, batch=self.batch)

    def plan(self, chain: Chain) -> Plan:
        undecided = {
            prefix: self.max_rollouts - counts.num_issued
            for prefix in chain.open_prefixes
            if not (counts := chain.counts_at(prefix)).num_correct
        }
        return {p: min(self.batch, missing) for p, missing in undecided.items() if missing > 0}

    def stop_reason(self, counts: Counts) -> StopReason:
        return StopReason.FIRST_SUCCESS if counts.num_correct else StopReason.FIXED


def up_to(num_rollouts: int, chain: Chain) -> Plan:
    """Whatever is missing to this many rollouts at every open prefix, and at an unsampled root."""
    prefixes = [*chain.open_prefixes] if chain.root.num_issued else [0, *chain.open_prefixes]
    missing = {p: num_rollouts - chain.counts_at(p).num_issued for p in prefixes}
    return {prefix: count for prefix, count in missing.items() if count > 0}


def _at_least_one(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, not {count}")
