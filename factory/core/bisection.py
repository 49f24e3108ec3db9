"""Hard labels by bisection: the first dead prefix of a wrong solution in about log2 T probes.

Rests on the monotone reading of a solution: what can still be solved after a step could be solved
before it. Counts need not obey it, since a prefix alive may show no success in K rollouts.
"""

from dataclasses import dataclass, replace

from factory.core.chain import Chain, Counts
from factory.core.labelers import HardEstimation, StepLabel
from factory.core.planners import Plan
from schemas.records import StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectHard:
    """Binary search for the first prefix with no right answer in `max_rollouts`.

    A right solution needs no rollouts: its own ending shows every prefix alive. In any other one
    the prefix in the middle of what is open is probed in rounds of `batch`. A success moves the
    search behind it, `max_rollouts` without one before it. With `batch` = `max_rollouts` every
    probe is complete, which is OmegaPRM's binary search (arXiv 2406.06592, k = 8).

    A prefix none of whose rollouts could be graded tells nothing and is passed over. The bare
    problem is taken to be alive. `MonotoneHard` makes the labels.
    """

    max_rollouts: int = 8
    batch: int = 4

    def __post_init__(self) -> None:
        if min(self.max_rollouts, self.batch) < 1:
            raise ValueError(
                "max_rollouts and batch must be at least 1, "
                f"not {self.max_rollouts} and {self.batch}"
            )

    def plan(self, chain: Chain) -> Plan:
        if chain.is_correct:
            return {}
        prefixes = chain.open_prefixes
        alive = max((p for p in prefixes if chain.counts_at(p).num_correct), default=0)
        ahead = [p for p in prefixes if p > alive]
        dead = next((p for p in ahead if self._is_dead(chain.counts_at(p))), prefixes.stop)
        missing = {p: self.max_rollouts - chain.counts_at(p).num_issued for p in ahead if p < dead}
        unknown = [p for p, count in missing.items() if count > 0]
        if not unknown:
            return {}
        middle = unknown[(len(unknown) - 1) // 2]
        return {middle: min(self.batch, missing[middle])}

    def stop_reason(self, counts: Counts) -> StopReason:
        """`DECIDED` where nothing or too little was asked: the search could not gain by more."""
        if counts.num_correct:
            return StopReason.FIRST_SUCCESS
        return StopReason.FIXED if counts.num_issued >= self.max_rollouts else StopReason.DECIDED

    def _is_dead(self, counts: Counts) -> bool:
        return (
            counts.num_issued >= self.max_rollouts
            and counts.num_rollouts > 0
            and counts.num_correct == 0
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MonotoneHard:
    """Good up to the last prefix with a right answer, bad from the next one without any.

    A known ending counts as one rollout of the whole solution, so a right one makes every step
    good. Of a finished bisection only steps that could not be graded stay without a label. A
    success behind a prefix without one wins: the failures were bad luck. Steps that were not
    probed have no MC score.
    """

    def __call__(self, chain: Chain) -> tuple[StepLabel, ...]:
        scored = chain.scored
        num_good = max((i for i, c in enumerate(scored, start=1) if c.num_correct), default=0)
        first_bad = next(
            (i for i in range(num_good, len(scored)) if scored[i].num_rollouts), len(scored)
        )
        labels = [True] * num_good + [None] * (first_bad - num_good)
        labels += [False] * (len(scored) - first_bad)
        return tuple(
            replace(step, label=label)
            for step, label in zip(HardEstimation()(chain), labels, strict=True)
        )
