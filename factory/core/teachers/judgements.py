"""From judgements of single steps, and a claim about the first error, to one reading."""

from collections.abc import Sequence
from dataclasses import dataclass

from factory.core.teachers.form import (
    AT_ODDS,
    INCOMPLETE,
    NO_JUDGEMENT,
    OUT_OF_ORDER,
    OUT_OF_RANGE,
    STEP_UNJUDGED,
    TOO_MANY,
    Reading,
    reading_at,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One step as the text takes it up; `None` where it says nothing of whether it is good."""

    step: int
    """0-based."""
    is_good: bool | None
    start: int = 0
    """Where in the text the word of its judgement begins; 0 without one."""
    end: int = 0
    """Where its judgement ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a text names as the first error, 0-based and unchecked; `None` is no error."""

    first_error: int | None


def claim_from(index: str, *, base: int) -> Claim:
    """A written index, counted from `base`; -1 is the foreign word for no error."""
    value = int(index)
    return Claim(first_error=None if value == -1 else value - base)


def after_thinking(text: str) -> str:
    """What follows a reasoning model's thoughts; all of a text that closes none."""
    return text.rpartition("</think>")[2]


def reading_of(steps: Sequence[Judged], claim: Claim | None, num_steps: int) -> Reading:
    """The reading of judgements in the order they were written.

    What follows the first bad step is not looked at, save that the steps have to be in order and
    at most `num_steps`. A claim fills in for judgements that are missing, also for all of them,
    but not for steps that were never taken up when others were. Without a claim every step up to
    the first bad one needs a judgement, and all need one if none is bad.
    """
    if any(judged.step != i for i, judged in enumerate(steps)):
        return Reading(reason=OUT_OF_ORDER)
    if len(steps) > num_steps:
        return Reading(reason=TOO_MANY)
    said = next((judged.step for judged in steps if judged.is_good is False), None)
    if claim is None:
        return _without_claim(steps, said, num_steps)
    named = claim.first_error
    if named is not None and not 0 <= named < num_steps:
        return Reading(reason=OUT_OF_RANGE)
    if said not in (None, named) or any(j.step == named and j.is_good for j in steps):
        return Reading(reason=AT_ODDS)
    if steps and len(steps) < (num_steps if named is None else named + 1):
        return Reading(reason=INCOMPLETE)
    return reading_at(named, num_steps)


def _without_claim(steps: Sequence[Judged], said: int | None, num_steps: int) -> Reading:
    if all(judged.is_good is None for judged in steps):
        return Reading(reason=NO_JUDGEMENT)
    if any(judged.is_good is None for judged in steps[:said]):
        return Reading(reason=STEP_UNJUDGED)
    if said is None and len(steps) < num_steps:
        return Reading(reason=INCOMPLETE)
    return reading_at(said, num_steps)
