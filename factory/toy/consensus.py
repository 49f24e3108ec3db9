"""What agreement with a teacher does to labels, by the toy world's known truth."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from factory.toy.agreement import truths_of
from factory.toy.oracle import first_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many of so many."""

    part: int
    whole: int

    @property
    def share(self) -> float | None:
        """`None` of nothing."""
        return self.part / self.whole if self.whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusEffect:
    """Solutions whose first error, or its absence, is named as the oracle does; and their labels.

    Steps count up to and with the oracle's first error: nobody vouches for labels behind it.
    """

    kept: Rate
    """Solutions on which teacher and labels agree, of all the teacher was asked about."""
    right_before: Rate
    """Named right by the labels."""
    right_after: Rate
    """The same among those kept."""
    right_by_teacher: Rate
    """Named right by the teacher, of those it said something of that can be read."""
    steps_wrong_before: Rate
    steps_wrong_after: Rate
    kept_with_error: Rate
    """Kept of the solutions that have an error in truth."""
    kept_without_error: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    truth: int | None
    by_labels: int | None
    by_teacher: int | None
    is_read: bool
    is_kept: bool
    num_steps_wrong: int
    num_steps: int


def consensus_effect(rows: Iterable[dict[str, Any]]) -> ConsensusEffect:
    """Compares published rows, whose metadata names their toy problem, before and after."""
    cases = [_case(row) for row in rows if row["num_rationales"]]
    kept = [case for case in cases if case.is_kept]
    read = [case for case in cases if case.is_read]
    wrong = [case for case in cases if case.truth is not None]
    right = [case for case in cases if case.truth is None]
    return ConsensusEffect(
        kept=Rate(part=len(kept), whole=len(cases)),
        right_before=_rate(case.by_labels == case.truth for case in cases),
        right_after=_rate(case.by_labels == case.truth for case in kept),
        right_by_teacher=_rate(case.by_teacher == case.truth for case in read),
        steps_wrong_before=_steps_wrong(cases),
        steps_wrong_after=_steps_wrong(kept),
        kept_with_error=_rate(case.is_kept for case in wrong),
        kept_without_error=_rate(case.is_kept for case in right),
    )


def _case(row: dict[str, Any]) -> _Case:
    truth = first_error(truths_of(row))
    judged = [verdict for verdict in row["teacher_labels"] if verdict is not None]
    end = len(row["step_labels"]) if truth is None else truth + 1
    labels = row["step_labels"][:end]
    return _Case(
        truth=truth,
        by_labels=row["first_error"],
        by_teacher=judged.index(False) if False in judged else None,
        is_read=bool(judged),
        is_kept=bool(row["is_consensus"]),
        num_steps_wrong=sum(label != (i != truth) for i, label in enumerate(labels)),
        num_steps=len(labels),
    )


def _rate(flags: Iterable[bool]) -> Rate:
    found = list(flags)
    return Rate(part=sum(found), whole=len(found))


def _steps_wrong(cases: Iterable[_Case]) -> Rate:
    found = list(cases)
    return Rate(
        part=sum(case.num_steps_wrong for case in found),
        whole=sum(case.num_steps for case in found),
    )
