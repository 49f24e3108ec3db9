"""Which rationales are kept: readable, short enough, of one mind with the counts, and balanced.

After GenPRM (arXiv 2504.00891, section 3.3), ThinkPRM (arXiv 2504.16828) and the consensus filter
of arXiv 2501.07301. Three filters follow one another: `Consensus` on single rationales, then
`ProblemLimits` on those of one problem, then `balanced` on all. Every drop has a reason.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from factory.core.labelers import StepLabel
from factory.core.teachers.form import Reading

TOO_LONG = "rationale too long"
DISAGREES = "teacher and counts disagree"
UNDECIDED = "the counts do not decide"
DUPLICATE = "same rationale drawn before"
ONE_OUTCOME = "problem with one outcome only"
OVER_LIMIT = "over the problem's limit"
UNBALANCED = "surplus of its label"

STAGES = ("judged", "readable", "within_length", "agreeing", "within_limits", "balanced")
_STAGE_LOST_AT = {
    TOO_LONG: "within_length",
    DISAGREES: "agreeing",
    UNDECIDED: "agreeing",
    DUPLICATE: "within_limits",
    ONE_OUTCOME: "within_limits",
    OVER_LIMIT: "within_limits",
    UNBALANCED: "balanced",
}
"""All other reasons are a reader's."""


class Agreement(StrEnum):
    """What teacher and counts have to agree on.

    A teacher stops at the first error it finds, so nothing after the earlier of the two first
    errors is ever compared. Where every label is decided the two ways come to the same; they
    differ in the steps for which an undecided label matters.
    """

    STEPS = "steps"
    """Every step up to and with the earlier first error."""
    FIRST_ERROR = "first_error"
    """That one step alone; all steps where neither names an error, as that speaks of all."""


class Undecided(StrEnum):
    """What becomes of a rationale that agrees where labels are decided, when one is not."""

    DROP = "drop"
    """Dropped with a reason of its own: nobody has checked it."""
    DISAGREE = "disagree"
    """Dropped as a disagreement."""
    AGREE = "agree"
    """Kept: the teacher is believed where the counts are silent, even everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Keep, or drop for a reason in few fixed words."""

    reason: str | None = None

    @property
    def keep(self) -> bool:
        return self.reason is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consensus:
    """The filter of single rationales."""

    agreement: Agreement = Agreement.STEPS
    undecided: Undecided = Undecided.DROP
    max_tokens: int | None = 4096
    """ThinkPRM's; `None` keeps any length."""

    def __call__(
        self, labels: Sequence[bool | None], reading: Reading, num_tokens: int
    ) -> Decision:
        """Keep, or the first of: the reader's reason, the length, the disagreement."""
        if reading.reason is not None:
            return Decision(reason=reading.reason)
        if self.max_tokens is not None and num_tokens > self.max_tokens:
            return Decision(reason=TOO_LONG)
        return Decision(reason=self._disagreement(labels, reading))

    def _disagreement(self, labels: Sequence[bool | None], reading: Reading) -> str | None:
        compared = _compared(labels, reading, self.agreement)
        pairs = [(labels[i], reading.verdicts[i]) for i in compared]
        if any(label is not None and label != verdict for label, verdict in pairs):
            return DISAGREES
        if self.undecided is Undecided.AGREE or all(label is not None for label, _ in pairs):
            return None
        return UNDECIDED if self.undecided is Undecided.DROP else DISAGREES


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A rationale on its way through the filters."""

    rationale_id: str
    """Hash of problem, solution and text; where not all can stay it decides who does."""
    reading: Reading
    decision: Decision

    @property
    def has_error(self) -> bool:
        return self.reading.first_error is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemLimits:
    """What is kept of the rationales of one problem; the defaults drop nothing but duplicates."""

    needs_both_outcomes: bool = False
    """Whether a problem needs rationales with and without an error, or loses all it has."""
    max_per_problem: int | None = None
    """Those with and without an error are taken in turn, each kind in the order of ids."""

    def __post_init__(self) -> None:
        if self.max_per_problem is not None and self.max_per_problem < 1:
            raise ValueError(f"max_per_problem must be at least 1, not {self.max_per_problem}")

    def __call__(self, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """The candidates of one problem in their order; some that were kept are now dropped."""
        distinct = _dropping(candidates, DUPLICATE, _repeats(candidates))
        kinds = _kept_by_label(distinct)
        if self.needs_both_outcomes and not all(kinds):
            return _dropping(distinct, ONE_OUTCOME, range(len(distinct)))
        turns = sorted((n, distinct[i].rationale_id, i) for k in kinds for n, i in enumerate(k))
        limit = len(turns) if self.max_per_problem is None else self.max_per_problem
        return _dropping(distinct, OVER_LIMIT, [i for *_, i in turns[limit:]])


def balanced(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """As many kept with an error as without, the first of each kind in the order of ids.

    Where one kind is missing nothing is kept. What is dropped here is counted as `UNBALANCED`.
    """
    kinds = _kept_by_label(candidates)
    num_each = min(len(kind) for kind in kinds)
    return _dropping(candidates, UNBALANCED, [i for kind in kinds for i in kind[num_each:]])


def funnel(decisions: Iterable[Decision]) -> dict[str, int]:
    """How many rationales are left after each of `STAGES`; the last number is what is kept."""
    counts = Counter(decision.reason for decision in decisions)
    left = counts.total()
    lost = Counter[str]()
    for reason, count in counts.items():
        if reason is not None:
            lost[_STAGE_LOST_AT.get(reason, "readable")] += count
    return {stage: (left := left - lost[stage]) for stage in STAGES}


def dropped(decisions: Iterable[Decision]) -> dict[str, int]:
    """How many were dropped for each reason, the most frequent first."""
    counts = Counter(d.reason for d in decisions if d.reason is not None)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def decided_labels(labels: Iterable[StepLabel]) -> tuple[bool | None, ...]:
    """The labels, `None` where there is none or the recipe marks it as not decided.

    A recipe without such a mark has decided every label it gives.
    """
    return tuple(None if step.is_decided is False else step.label for step in labels)


def voted(readings: Iterable[Reading]) -> Reading | None:
    """The reading that most agree on; `None` on a tie, or when none can be read.

    Unreadable texts have no vote. One vote is enough where it is alone.
    """
    votes = Counter(r.verdicts for r in readings if r.reason is None).most_common(2)
    if not votes or (len(votes) == 2 and votes[0][1] == votes[1][1]):
        return None
    return Reading(verdicts=votes[0][0])


def _compared(
    labels: Sequence[bool | None], reading: Reading, agreement: Agreement
) -> Iterable[int]:
    """Indices of the steps on which both have to agree; none for a solution without steps."""
    end = reading.first_error
    num_needed = len(labels) if end is None else end + 1
    if len(reading.verdicts) != num_needed or num_needed > len(labels):
        raise ValueError(f"{len(reading.verdicts)} verdicts for {len(labels)} labelled steps")
    counted = next((i for i, label in enumerate(labels) if label is False), None)
    ends = [i for i in (end, counted) if i is not None]
    if not ends:
        return range(len(labels))
    return range(0 if agreement is Agreement.STEPS else min(ends), min(ends) + 1)


def _repeats(candidates: Sequence[Candidate]) -> list[int]:
    """Where a rationale stands that stood before."""
    first: dict[str, int] = {}
    return [i for i, c in enumerate(candidates) if first.setdefault(c.rationale_id, i) != i]


def _kept_by_label(candidates: Sequence[Candidate]) -> tuple[list[int], list[int]]:
    """Where the kept candidates without and with an error stand, each kind by id."""
    kept = [i for i, candidate in enumerate(candidates) if candidate.decision.keep]
    kept.sort(key=lambda i: candidates[i].rationale_id)
    return [i for i in kept if not candidates[i].has_error], [
        i for i in kept if candidates[i].has_error
    ]


def _dropping(
    candidates: Sequence[Candidate], reason: str, where: Iterable[int]
) -> tuple[Candidate, ...]:
    """Those that are still kept at these places dropped; earlier reasons stay."""
    places = set(where)
    return tuple(
        replace(c, decision=Decision(reason=reason)) if i in places and c.decision.keep else c
        for i, c in enumerate(candidates)
    )
