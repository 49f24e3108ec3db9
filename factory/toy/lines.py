"""The dialect solutions are written in: one equation a step, read and written here and only here.

14 + 36 = 50.            an operation (families W and M)
y = 7/2 / 3 = 7/6.       a named operation (family E); `y = 7/6.` alone is read too
Wait, 14 + 36 = 50.      a repair: says again, rightly or not, what an earlier step said
Check: 50 - 36 = 14.     a check: undoes an operation, changes nothing
Note: 14 + 12 = 26.      a remark: something the question allows and nobody needs
The answer is: \\boxed{50}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_NUMBER = r"-?[0-9]{1,18}(?:/[0-9]{1,18})?"
_STEP = re.compile(
    r"(?:(?P<mark>Wait,|Check:|Note:) )?"
    r"(?:(?P<name>[0-9]{0,4}[a-z]) = )?"
    rf"(?:(?P<left>{_NUMBER}) (?P<operator>\+|-|\*|/|mod) (?P<right>{_NUMBER}) = )?"
    rf"(?P<result>{_NUMBER})\.?"
)
_BOXED = re.compile(
    rf"\s*(?:(?P<plain>{_NUMBER}|-?[0-9]{{0,18}}\.[0-9]{{1,18}})"
    r"|(?P<sign>-?)\\[dt]?frac\{(?P<top>-?[0-9]{1,18})\}\{(?P<bottom>[0-9]{1,18})\})\s*\}"
)
_BOX = re.compile(r"\\boxed\s*\{")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calculation:
    """An operator between two numbers."""

    operator: str
    left: Fraction
    right: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One step that claims a result; `calculation` is None for a bare `y = 7/6.`"""

    mark: str | None = None
    name: str | None = None
    calculation: Calculation | None
    result: Fraction


def write_line(line: Line) -> str:
    """The step's text; `read_line` is its inverse."""
    mark = f"{line.mark} " if line.mark else ""
    name = f"{line.name} = " if line.name else ""
    calculation = ""
    if (c := line.calculation) is not None:
        calculation = f"{c.left} {c.operator} {c.right} = "
    return f"{mark}{name}{calculation}{line.result}."


def write_answer(value: Fraction) -> str:
    """The last step of a solution."""
    return f"The answer is: \\boxed{{{value}}}"


def read_line(text: str) -> Line | None:
    """The claim a step makes; None outside the dialect and for a zero denominator."""
    match = _STEP.fullmatch(text.strip())
    if match is None or not (match["left"] or match["name"]):
        return None
    try:
        calculation = None
        if match["left"]:
            calculation = Calculation(
                operator=match["operator"],
                left=Fraction(match["left"]),
                right=Fraction(match["right"]),
            )
        return Line(
            mark=match["mark"],
            name=match["name"],
            calculation=calculation,
            result=Fraction(match["result"]),
        )
    except ZeroDivisionError:
        return None


def is_answer(text: str) -> bool:
    """Whether a step boxes something, whatever it is."""
    return _BOX.search(text) is not None


def read_answer(text: str) -> Fraction | None:
    """The number in a step's last box: whole, decimal, a/b or \\frac; None for anything else."""
    inside = _BOX.split(text)[-1] if is_answer(text) else ""
    match = _BOXED.match(inside)
    if match is None:
        return None
    try:
        if match["plain"]:
            return Fraction(match["plain"])
        return Fraction(f"{match['sign']}1") * int(match["top"]) / int(match["bottom"])
    except ZeroDivisionError:
        return None
