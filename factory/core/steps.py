"""Splitting a solution into steps, without loss: joined, the steps give the text back."""

import re
from enum import StrEnum
from itertools import pairwise

_NUMBERED = re.compile(r"^[ \t]*(?:\#+[ \t]*|\*\*)?Step[ \t]+\d+\b", re.MULTILINE | re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n\s*")
_LINE = re.compile(r"\n\s*")


class StepStyle(StrEnum):
    """How a solution shows where its steps end."""

    AUTO = "auto"
    """Numbered if it numbers at least two steps, else blank lines if it has any, else lines."""
    NUMBERED = "numbered"
    """A step begins at each line that starts with "Step <n>"."""
    BLANK_LINE = "blank_line"
    """Steps are separated by blank lines (Qwen2.5-Math-PRM, arXiv 2501.07301, section 2)."""
    LINE = "line"
    """Every line is a step."""


def split_steps(text: str, style: StepStyle = StepStyle.AUTO) -> tuple[str, ...]:
    """The steps of a solution; the whitespace that separates two steps ends the first of them.

    Every step has something other than whitespace in it; text of whitespace alone has no steps.
    What stands before "Step 1" is part of the first step.
    """
    if not text.strip():
        return ()
    starts = _starts(text, style)
    cuts = [0, *(s for s in starts if text[:s].strip() and text[s:].strip()), len(text)]
    return tuple(text[a:b] for a, b in pairwise(cuts))


def _starts(text: str, style: StepStyle) -> list[int]:
    if style is StepStyle.AUTO:
        numbered = _starts(text, StepStyle.NUMBERED)
        if len(numbered) >= 2:
            return numbered
        return _starts(text, StepStyle.BLANK_LINE) or _starts(text, StepStyle.LINE)
    if style is StepStyle.NUMBERED:
        first, *rest = [m.start() for m in _NUMBERED.finditer(text)] or [0]
        return [first, *rest] if not text[:first].strip() else rest
    pattern = _BLANK_LINE if style is StepStyle.BLANK_LINE else _LINE
    return [m.end() for m in pattern.finditer(text)]
