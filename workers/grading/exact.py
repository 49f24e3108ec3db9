"""Decides an answer without any algebra: tidied spelling, and exact arithmetic on plain numbers.

`tidy` is the normalisation: a recorded option of the grader, because it changes verdicts that
math-verify gets wrong (`42.` for 42, `90°` for `90^\\circ`). `is_equal` never changes a verdict:
it answers only where math-verify is known to say the same, and is silent otherwise.
"""

import re
from dataclasses import dataclass

TIDY_VERSION = 1
"""Raised when `tidy` maps any text to another result than before."""

_ENCLOSED = re.compile(
    r"\$\$([^$]+)\$\$|\$([^$]+)\$|\\\[((?:(?!\\\[|\\\]).)+)\\\]|\\\(((?:(?!\\\(|\\\)).)+)\\\)"
)
_BOXED = "\\boxed{"
_SIZED_DELIMITER = re.compile(r"\\(?:left|right)\s*(?=[()\[\]|]|\\[{}|])")
_SPELLINGS = (
    ("\N{MINUS SIGN}", "-"),
    ("\N{NO-BREAK SPACE}", " "),
    ("\N{DEGREE SIGN}", "^\\circ"),
    ("\\dfrac", "\\frac"),
    ("\\tfrac", "\\frac"),
    ("\\varnothing", "\\emptyset"),
    ("\\!", ""),
)

_NUMBER = re.compile(
    r"(?P<sign>-?)(?:"
    r"(?P<integer>\d{1,18}|[1-9]\d{0,2}(?:,\d{3}){1,5})"
    r"|(?P<whole>\d{0,9})\.(?P<tenths>\d{1,6})"
    r"|\\frac\{(?P<top>-?\d{1,9})\}\{(?P<bottom>\d{1,9})\}"
    r"|(?P<over>\d{1,9})/(?P<under>\d{1,9})"
    r")",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Number:
    """A fraction as it was written, not reduced; `is_decimal` if it had a decimal point."""

    top: int
    bottom: int
    is_decimal: bool


def tidy(text: str) -> str:
    """One spelling for texts that differ only in wrapping, sizes, blanks or a final full stop.

    An empty wrapping stays as it is; the result may be empty only for blank text.
    """
    text = text.strip()
    while (inner := _unwrapped(text)) is not None:
        text = inner
    for spelling, usual in _SPELLINGS:
        if spelling in text:
            text = text.replace(spelling, usual)
    if "\\left" in text or "\\right" in text:
        text = _SIZED_DELIMITER.sub("", text)
    text = " ".join(text.split())
    if len(text) > 1 and text[-1] == "." and text[-2] not in ". \\":
        text = text[:-1]
    return text


def _unwrapped(text: str) -> str | None:
    """What stands inside `$...$`, `\\(...\\)`, `\\[...\\]` or `\\boxed{...}`; `None` if not so."""
    if text[:1] not in ("$", "\\"):
        return None
    if match := _ENCLOSED.fullmatch(text):
        return str(match[match.lastindex or 0]).strip() or None
    if text.startswith(_BOXED) and text.endswith("}"):
        inner = text[len(_BOXED) : -1]
        return inner.strip() or None if _is_balanced(inner) else None
    return None


def _is_balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def number(text: str) -> Number | None:
    """The plain number that this text is; `None` for anything else, and for x/0."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    sign = -1 if match["sign"] else 1
    if (integer := match["integer"]) is not None:
        return Number(sign * int(integer.replace(",", "")), 1, False)
    if (tenths := match["tenths"]) is not None:
        return Number(sign * int(match["whole"] + tenths), 10 ** len(tenths), True)
    top, bottom = match["top"] or match["over"], int(match["bottom"] or match["under"])
    return Number(sign * int(top), bottom, False) if bottom else None


def is_equal(gold: Number, answer: Number, float_rounding: int) -> bool | None:
    """Whether math-verify calls these two equal; `None` where that hangs on its rounding.

    It compares integers and fractions exactly, and rounds both sides to `float_rounding` places
    as soon as one is a decimal. Two units of the last place are out of doubt.
    """
    difference = gold.top * answer.bottom - answer.top * gold.bottom
    if difference == 0:
        return True
    if not (gold.is_decimal or answer.is_decimal):
        return False
    is_clear = abs(difference) * 10**float_rounding > 2 * gold.bottom * answer.bottom
    return False if is_clear else None
