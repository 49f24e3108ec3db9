"""The way of a PRM800K solution through the completions that were offered at each step."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.interchange.fields import items, struct, text
from schemas.interchange.labelled import Row


class NeutralRating(StrEnum):
    """What becomes of the rating 0, "not wrong, but no progress". There is no default."""

    GOOD = "good"
    """As Qwen2.5-Math-PRM's and OpenR's trainers have it."""
    BAD = "bad"
    """As TRL has it."""
    NONE = "none"
    """No label."""


NEUTRAL_LABELS = {NeutralRating.GOOD: True, NeutralRating.BAD: False, NeutralRating.NONE: None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """A completion of a step."""

    text: str
    label: bool | None
    is_human: bool = False
    is_flagged: bool = False


def walk(steps: list[Any], neutral: NeutralRating) -> tuple[list[Rated], list[list[Rated]]]:
    """The path that was taken, and the ways that end with a completion beside it."""
    path: list[Rated] = []
    branches: list[list[Rated]] = []
    for step in steps:
        if not isinstance(step, dict):
            raise ValueError("'steps' must hold objects")
        offered = list(_offered(step, neutral))
        taken, is_last = _taken(step, offered)
        branches.extend([*path, other] for other in offered if other is not taken)
        if taken is not None:
            path.append(taken)
        if is_last:
            break
    return path, branches


def _offered(step: Row, neutral: NeutralRating) -> Iterator[Rated]:
    for offer in items(step, "completions") if step.get("completions") is not None else ():
        completion = struct({"completions": offer}, "completions")
        yield Rated(
            text=text(completion, "text"),
            label=_label(completion.get("rating"), neutral),
            is_flagged=bool(completion.get("flagged")),
        )


def _label(rating: Any, neutral: NeutralRating) -> bool | None:
    """No rating is no label, whatever is neutral."""
    if rating is None:
        return None
    if type(rating) not in (int, float) or rating not in (-1, 0, 1):
        raise ValueError(f"'rating' must be -1, 0, 1 or null, not {rating!r}")
    return NEUTRAL_LABELS[neutral] if rating == 0 else rating == 1


def _taken(step: Row, offered: list[Rated]) -> tuple[Rated | None, bool]:
    """The completion that the solution goes on with, and whether it ends there."""
    chosen, human = step.get("chosen_completion"), step.get("human_completion")
    if chosen is not None:
        if type(chosen) is not int or not 0 <= chosen < len(offered):
            raise ValueError(f"'chosen_completion' {chosen!r} of {len(offered)} completions")
        return offered[chosen], False
    if human is not None:
        words = text(human, "text") if isinstance(human, dict) else text(step, "human_completion")
        return Rated(text=words, label=True, is_human=True), False
    return (offered[0] if offered else None), True
