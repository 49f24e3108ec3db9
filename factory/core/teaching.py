"""The half of a recipe that is about the teacher: what it is asked, and what is kept of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from factory.core.consensus import (
    Candidate,
    Consensus,
    Decision,
    ProblemLimits,
    voted,
)
from factory.core.teachers.form import Form, Reading
from factory.core.teachers.genprm import GenPrmForm
from schemas.generation import Sampling
from schemas.ids import content_id
from schemas.rationales import Rationale
from schemas.records import ProblemGroup, Solution

NO_MAJORITY = "no majority among the rationales"
OUTVOTED = "outvoted by the other rationales"
REPRESENTED = "another rationale of the same verdict stands for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Teaching:
    """How a teacher is asked to judge a solution."""

    form: Form = field(default_factory=GenPrmForm)
    num_rationales: int = 1
    """Texts per solution."""
    sampling: Sampling = Sampling(temperature=0.6, max_tokens=4096)
    """`max_tokens` is for a whole text, however often it pauses."""
    thinks: bool = False
    """Whether the teacher thinks before it answers: what comes before `</think>` is then left
    alone, code in it too. The form's opening has to be empty."""
    max_redraws: int = 4
    """Sections, or whole texts, drawn again before a rationale is given up."""

    def __post_init__(self) -> None:
        if self.num_rationales < 1 or self.max_redraws < 0:
            raise ValueError("num_rationales must be at least 1, max_redraws at least 0")
        if self.sampling.stop:
            raise ValueError("where a teacher pauses is its form's business: leave stop empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Curation:
    """Which rationales are kept. Pure: another curation of stored rationales costs no engine."""

    consensus: Consensus = Consensus()
    limits: ProblemLimits = ProblemLimits()
    is_balanced: bool = False
    """Whether as many are kept with an error as without."""
    is_voted: bool = False
    """Whether the rationales of a solution vote, and one of those on the winning side stands for
    all; else each is judged by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRationale:
    """A rationale, the solution it is about, and what the filters make of it."""

    solution: Solution
    rationale: Rationale
    candidate: Candidate


def reading_of(rationale: Rationale) -> Reading:
    """What was read when the text was stored."""
    return Reading(verdicts=rationale.verdicts, reason=rationale.reason)


def judged(
    group: ProblemGroup, labels: Sequence[Sequence[bool | None]], curation: Curation
) -> tuple[JudgedRationale, ...]:
    """The rationales of one problem with their decisions, balance not yet considered.

    `labels` are those of its solutions in order, `None` where undecided.
    """
    found = [
        (solution, rationale, reading_of(rationale), decision)
        for solution, own in zip(group.solutions, labels, strict=True)
        for rationale, decision in zip(
            solution.rationales, _decisions(solution, own, curation), strict=True
        )
    ]
    candidates = curation.limits(
        [
            Candidate(
                rationale_id=content_id(group.problem_id, s.solution_id, r.text),
                reading=reading,
                decision=decision,
            )
            for s, r, reading, decision in found
        ]
    )
    return tuple(
        JudgedRationale(solution=s, rationale=r, candidate=candidate)
        for (s, r, _, _), candidate in zip(found, candidates, strict=True)
    )


def _decisions(
    solution: Solution, labels: Sequence[bool | None], curation: Curation
) -> list[Decision]:
    """One per rationale. Of several that vote the first of the winning side that can be kept is."""
    readings = [reading_of(rationale) for rationale in solution.rationales]
    alone = [
        curation.consensus(labels, reading, rationale.num_tokens)
        for rationale, reading in zip(solution.rationales, readings, strict=True)
    ]
    if not curation.is_voted:
        return alone
    winner = voted(readings)
    decisions: list[Decision] = []
    for reading, decision in zip(readings, alone, strict=True):
        if reading.reason is None and reading != winner:
            decision = Decision(reason=NO_MAJORITY if winner is None else OUTVOTED)
        elif decision.keep and any(d.keep for d in decisions):
            decision = Decision(reason=REPRESENTED)
        decisions.append(decision)
    return decisions


def teacher_verdicts(solution: Solution) -> tuple[bool | None, ...]:
    """One per step: what most rationales say, `None` behind the first bad step and on a tie."""
    winner = voted(reading_of(rationale) for rationale in solution.rationales)
    said = winner.verdicts if winner else ()
    return (*said, *(None,) * (len(solution.steps) - len(said)))


def kept(found: Sequence[JudgedRationale]) -> dict[str, Decision]:
    """By solution: kept if one of its rationales is, else dropped as the first not outvoted."""
    decisions: dict[str, Decision] = {}
    for one in found:
        known, decision = decisions.get(one.solution.solution_id), one.candidate.decision
        if known is None or known.reason == OUTVOTED or (decision.keep and not known.keep):
            decisions[one.solution.solution_id] = decision
    return decisions
