"""The labels of fixed K for fewer rollouts: stop where no further outcome can change a label.

The plug-in rule must not be asked of curtailed counts: 8 of 10 beside 8 of 10 may be certain to
end as bad. So one value, `CurtailedLabeler`, says what is certain, and both the planner and the
labels rest on it.
"""

from dataclasses import dataclass, replace

from factory.core.chain import Chain, Counts
from factory.core.labelers import HardEstimation, RelativeProgress, StepLabel
from factory.core.planners import Plan
from schemas.records import StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class CurtailedLabeler:
    """What `labeler` would say of `num_rollouts` at every prefix, as far as that is certain.

    Rollouts not issued yet may all turn out right, wrong or ungraded. A step whose label still
    depends on them has none, so on the counts of `CurtailedFixedK` this is the label of `FixedK`.
    MC scores and progress are `labeler`'s own on the counts there are, and biased by the stopping.
    """

    labeler: RelativeProgress | HardEstimation
    num_rollouts: int

    def __call__(self, chain: Chain) -> tuple[StepLabel, ...]:
        possible = self.possible_labels(chain)
        return tuple(
            replace(step, label=next(iter(labels)) if len(labels) == 1 else None)
            for step, labels in zip(self.labeler(chain), possible, strict=True)
        )

    def missing(self, counts: Counts) -> int:
        """Rollouts still to come at a prefix."""
        return max(0, self.num_rollouts - counts.num_issued)

    def possible_labels(self, chain: Chain) -> list[set[bool | None]]:
        """Every label each step can end with.

        Both rules look at a step through the scores before and after it and are monotone in each,
        so each score's extremes tell; what relative progress carries along besides, whether some
        score was above 0 and whether one was 0 after that, goes along with them.
        """
        has_zero_rule = isinstance(self.labeler, RelativeProgress)
        states = {(chain.root, chain.root.num_correct > 0, False)}
        found = []
        for after in self._extremes(chain):
            labels: set[bool | None] = set()
            next_states = set()
            for before, is_alive, was_dead in states:
                for end in after:
                    is_dead = was_dead or (has_zero_rule and is_alive and end.mc_score == 0)
                    labels.add(False if is_dead else self._label(before, end))
                    next_states.add((end, is_alive or end.num_correct > 0, is_dead))
            states = next_states
            found.append(labels)
        return found

    def _label(self, before: Counts, after: Counts) -> bool | None:
        return self.labeler(Chain(root=before, steps=(after,), is_correct=None))[0].label

    def _extremes(self, chain: Chain) -> list[set[Counts]]:
        """Of each step's final counts: none, 0, the least above 0, the most."""
        num_open = len(chain.open_prefixes)
        return [
            extremes(counts, self.missing(counts) if i < num_open else 0)
            for i, counts in enumerate(chain.scored)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurtailedFixedK:
    """`FixedK` in rounds of `batch`, without the rollouts that cannot change a label any more.

    Its labels are those of `CurtailedLabeler` with the same values, and equal to those of `labeler`
    on K rollouts everywhere. A root without rollouts gets K in the first round where the labeler
    needs it.

    With relative progress a first 0 makes all that follows bad, and takes all K to be certain of.
    So a prefix without a right answer so far gets its rest at once, and those behind it wait.
    """

    num_rollouts: int
    batch: int = 4
    labeler: RelativeProgress | HardEstimation = RelativeProgress()

    def __post_init__(self) -> None:
        if min(self.num_rollouts, self.batch) < 1:
            raise ValueError(
                "num_rollouts and batch must be at least 1, "
                f"not {self.num_rollouts} and {self.batch}"
            )

    @property
    def curtailed(self) -> CurtailedLabeler:
        """The labeler that goes with the planner."""
        return CurtailedLabeler(labeler=self.labeler, num_rollouts=self.num_rollouts)

    def plan(self, chain: Chain) -> Plan:
        if isinstance(self.labeler, RelativeProgress) and not chain.root.num_issued:
            return {0: self.num_rollouts} | self._round(chain, list(chain.open_prefixes))
        is_open = [len(labels) > 1 for labels in self.curtailed.possible_labels(chain)]
        wanted = [
            p
            for p in chain.open_prefixes
            if self._matters(chain, p, is_open) and self.curtailed.missing(chain.counts_at(p))
        ]
        silent = next((p for p in wanted if self._may_end_all(chain, p)), None)
        if silent is None:
            return self._round(chain, wanted)
        before = self._round(chain, [p for p in wanted if p < silent])
        return before | {silent: self.curtailed.missing(chain.counts_at(silent))}

    def stop_reason(self, counts: Counts) -> StopReason:
        """`DECIDED` before the full count: what more rollouts can save is exactly nothing."""
        return StopReason.FIXED if counts.num_issued >= self.num_rollouts else StopReason.DECIDED

    def _matters(self, chain: Chain, prefix: int, is_open: list[bool]) -> bool:
        """Whether an open label may hang on this prefix.

        It does for the step before it and the step after it, and for all later ones while the
        prefix may yet turn out dead.
        """
        if isinstance(self.labeler, HardEstimation):
            return is_open[prefix - 1]
        may_die = chain.counts_at(prefix).num_correct == 0
        return any(is_open[prefix - 1 :] if may_die else is_open[prefix - 1 : prefix + 1])

    def _may_end_all(self, chain: Chain, prefix: int) -> bool:
        """Whether a prefix asked before looks like the first 0 of a chain known to be alive."""
        counts = chain.counts_at(prefix)
        return (
            isinstance(self.labeler, RelativeProgress)
            and counts.num_issued > 0 == counts.num_correct
            and any(chain.counts_at(p).num_correct for p in range(prefix))
        )

    def _round(self, chain: Chain, prefixes: list[int]) -> Plan:
        missing = {p: self.curtailed.missing(chain.counts_at(p)) for p in prefixes}
        return {p: min(self.batch, count) for p, count in missing.items() if count}


def extremes(counts: Counts, missing: int) -> set[Counts]:
    """The final counts that bound what `missing` more rollouts can make of these.

    Ungraded ones leave a share where it is, so only a prefix without any graded rollout can end
    without a score.
    """
    total = counts.num_rollouts + missing
    least, most = counts.num_correct, counts.num_correct + missing
    correct = {least, min(max(least, 1), most), most} if total else set()
    without = {Counts()} if counts.num_rollouts == 0 else set()
    return without | {
        Counts(num_rollouts=total, num_correct=num, num_issued=total) for num in correct
    }
