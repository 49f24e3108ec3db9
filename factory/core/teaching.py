"""The half of a recipe that is about the teacher: what it is asked, and what is kept of it."""

from collections.abc import Iterator, Sequence
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Teaching:
    """How a teacher is asked to judge a solution."""

    form: Form = field(default_factory=GenPrmForm)
    num_rationales: int = 1
    """Texts per solution."""
    sampling: Sampling = Sampling(temperature=0.6, max_tokens=4096)
    """`max_tokens` is for a whole text, however often it pauses."""
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
        (solution, rationale, reading, curation.consensus(own, reading, rationale.num_tokens))
        for solution, own in zip(group.solutions, labels, strict=True)
        for rationale, reading in _heard(solution, curation)
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


def _heard(solution: Solution, curation: Curation) -> Iterator[tuple[Rationale, Reading]]:
    readings = [(rationale, reading_of(rationale)) for rationale in solution.rationales]
    if not curation.is_voted or not readings:
        yield from readings
        return
    winner = voted(reading for _, reading in readings)
    if winner is not None:
        yield next((r, reading) for r, reading in readings if reading == winner)
        return
    readable = [r for r, reading in readings if reading.reason is None]
    reason = NO_MAJORITY if readable else readings[0][1].reason
    yield readings[0][0], Reading(reason=reason)


def teacher_verdicts(solution: Solution) -> tuple[bool | None, ...]:
    """One per step: what most rationales say, `None` behind the first bad step and on a tie."""
    winner = voted(reading_of(rationale) for rationale in solution.rationales)
    said = winner.verdicts if winner else ()
    return (*said, *(None,) * (len(solution.steps) - len(said)))


def kept(found: Sequence[JudgedRationale]) -> dict[str, Decision]:
    """By solution: kept if one of its rationales is, else dropped as the first of them."""
    decisions: dict[str, Decision] = {}
    for one in found:
        known = decisions.get(one.solution.solution_id)
        if known is None or (not known.keep and one.candidate.decision.keep):
            decisions[one.solution.solution_id] = one.candidate.decision
    return decisions
