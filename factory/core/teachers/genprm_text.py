"""The marks of a GenPRM text: headings, tags, judgements and the final index, outside its code.

The pattern's repetitions are bounded, so that any text is searched in linear time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from factory.core.teachers.genprm_checks import has_open_block, masked
from factory.core.teachers.judgements import Claim, Judged, claim_from

_MARK = re.compile(
    r"""
    ^[ \t]{0,3}\#{1,6}[ \t]{0,3}paragraph[ \t]{1,3}(?P<number>[0-9]{1,9})\b
    | <(?P<tag>/?(?:analyze|verify|output))>
    | \\boxed\{\s{0,4}(?:\\[a-z]{4,6}\{\s{0,4})?(?P<judgement>yes|no)[ .!]{0,3}\}
    | (?P<word>(?:first|earliest)[ ]error[^\n\\]{0,40})?
      \\boxed\{\s{0,4}(?:\\[a-z]{4,6}\{\s{0,4})?(?P<index>-?[0-9]{1,40})\s{0,4}\}
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_SHAPES = (
    ("analyze", "/analyze", "output", "judgement", "/output"),
    ("analyze", "/analyze", "verify", "/verify", "output", "judgement", "/output"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Critique:
    """What a text says outside its code."""

    steps: tuple[Judged, ...]
    claim: Claim | None
    is_closed: bool
    """Whether every tag and block that was opened was closed."""


def critique_of(text: str) -> Critique:
    """Judgements and claim of a text.

    A step is taken up by its heading, or by a tag that opens after the step before was concluded
    by `</output>`; a heading repeated before the judgement changes nothing. The last judgement in
    a step counts, one outside of steps does not. A claim comes after all of them; after a bare
    heading it has to be called the first error.
    """
    steps: list[Judged] = []
    claim: Claim | None = None
    open_tag: str | None = None
    is_closed, is_concluded, is_after_heading = True, True, False
    for mark in _MARK.finditer(masked(text)):
        if index := mark["index"]:
            if mark["word"] or not is_after_heading:
                claim = claim_from(index, base=1)
        elif number := mark["number"]:
            last = steps[-1] if steps else None
            if last is None or last.step != int(number) - 1 or last.is_good is not None:
                steps.append(Judged(step=int(number) - 1, is_good=None))
            claim, is_concluded, is_after_heading = None, False, True
        elif tag := (mark["tag"] or "").lower():
            is_closed = is_closed and (open_tag is None or tag == f"/{open_tag}")
            open_tag = None if tag.startswith("/") else tag
            if is_concluded and open_tag:
                steps.append(Judged(step=steps[-1].step + 1 if steps else 0, is_good=None))
            is_concluded = tag == "/output" or (is_concluded and not open_tag)
            claim, is_after_heading = None, False
        elif not is_concluded:
            is_good = mark["judgement"].lower() == "yes"
            steps[-1] = Judged(
                step=steps[-1].step, is_good=is_good, start=mark.start("judgement"), end=mark.end()
            )
            claim, is_after_heading = None, False
    is_closed = is_closed and open_tag is None and not has_open_block(text)
    return Critique(steps=tuple(steps), claim=claim, is_closed=is_closed)


def well_formed_judgement(section: str, step: int) -> bool | None:
    """The judgement of a section with the step's heading and all parts in order; else `None`."""
    section = section.strip()
    marks = [m for m in _MARK.finditer(masked(section)) if m["index"] is None]
    if not marks or marks[0]["number"] != str(step + 1) or marks[0].start() > 0:
        return None
    if marks[-1].end() < len(section) or has_open_block(section):
        return None
    parts: list[str] = []
    said: list[str] = []
    for mark in marks[1:]:
        if mark["judgement"] is None:
            parts.append((mark["tag"] or "heading").lower())
        elif "output" in parts:
            parts.append("judgement")
            said.append(mark["judgement"].lower())
    return said == ["yes"] if tuple(parts) in _SHAPES else None


def sections_of(text: str) -> Iterator[str]:
    """The parts from `<analyze>` to `</output>`, in order; code and its output stay in place."""
    start: int | None = None
    for mark in _MARK.finditer(masked(text)):
        tag = (mark["tag"] or "").lower()
        if tag == "analyze" and start is None:
            start = mark.start()
        if tag == "/output" and start is not None:
            yield text[start : mark.end()]
            start = None
