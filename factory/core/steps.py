"""Splitting a solution into steps, without loss: joined, the steps give the text back."""

import re
from enum import StrEnum
from itertools import pairwise

_NUMBERED = re.compile(r"^[ \t]*(?:\#+[ \t]*)?\*{0,2}Step[ \t]+\d+\b", re.MULTILINE | re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n(?:[^\S\n]*\n)*+")
_LINE = re.compile(r"\n(?:[^\S\n]*\n)*+")


class StepStyle(StrEnum):
    """How a solution shows where its steps end."""

    AUTO = "auto"
    """Numbered if it numbers two steps or more, else blank lines if any are inside, else lines."""
    NUMBERED = "numbered"
    """A step begins at each line that starts with "Step <n>"."""
    BLANK_LINE = "blank_line"
    """Steps are separated by blank lines (Qwen2.5-Math-PRM, arXiv 2501.07301, section 2)."""
    LINE = "line"
    """Every line is a step."""


def split_steps(text: str, style: StepStyle = StepStyle.AUTO) -> tuple[str, ...]:
    """The steps of a solution; the line breaks that separate two steps end the first of them.

    Indentation begins the next step: a prefix that ended in spaces would be tokenised unlike the
    solution, where they and the word behind them are one token.

    Every step has something other than whitespace in it; text of whitespace alone has no steps.
    What stands before "Step 1" is part of the first step.
    """
    if not text.strip():
        return ()
    return tuple(text[a:b] for a, b in pairwise([0, *_cuts(text, style), len(text)]))


def _cuts(text: str, style: StepStyle) -> list[int]:
    """Where the steps after the first begin."""
    if style is StepStyle.AUTO:
        styles = (StepStyle.NUMBERED, StepStyle.BLANK_LINE, StepStyle.LINE)
        return next((cuts for s in styles if (cuts := _cuts(text, s))), [])
    if style is StepStyle.NUMBERED:
        return [match.start() for match in _NUMBERED.finditer(text)][1:]
    first, end = len(text) - len(text.lstrip()), len(text.rstrip())
    pattern = _BLANK_LINE if style is StepStyle.BLANK_LINE else _LINE
    return [m.end() for m in pattern.finditer(text) if first < m.end() < end]
