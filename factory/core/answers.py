"""Finding the answer that a text states."""

import re

_SAID = re.compile(r"\banswer\**+\s*+(?:is\b|:)[\s:*]*+(?=\S)", re.IGNORECASE)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*+\{")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def extract_answer(text: str) -> str | None:
    r"""The last answer a solution states, or `None`.

    The last balanced `\boxed{...}` wins; without one, what follows the last `####`; without that,
    the rest of the line after the last "answer is" or "answer:". A `\boxed{` that never closes
    states nothing, and text whose boxes all stay open has no answer: it was cut there.
    """
    if _BOX.search(text):
        return _last_boxed(text)
    if "####" in text:
        return _cleaned(text.rsplit("####", 1)[1].split("\n", 1)[0])
    said = [match.end() for match in _SAID.finditer(text)]
    return _cleaned(text[said[-1] :].split("\n", 1)[0]) if said else None


def reference_answer(text: str) -> str | None:
    r"""The answer inside a reference: GSM8K's `####`, a boxed one, or the text itself.

    `None` when nothing is left. Thousands separators of `####` answers are removed ("1,000").
    """
    if "####" in text:
        answer = _cleaned(text.rsplit("####", 1)[1])
        return _THOUSANDS.sub("", answer) if answer else None
    if _BOX.search(text):
        return _last_boxed(text)
    return _cleaned(text)


def _last_boxed(text: str) -> str | None:
    """Content of the last box that closes; linear in the text, however many boxes never do.

    What encloses a box that stays open stays open too, so no brace is looked at twice.
    """
    end = len(text)
    for box in reversed(list(_BOX.finditer(text))):
        closing = _closing_brace(text, box.end(), end)
        if closing is not None:
            return _cleaned(text[box.end() : closing])
        end = box.start()
    return None


def _closing_brace(text: str, start: int, end: int) -> int | None:
    """Where the brace that was opened just before `start` closes; escaped braces are text."""
    depth = 1
    for brace in _BRACE.finditer(text, start, end):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return brace.start()
    return None


def _cleaned(answer: str) -> str | None:
    """Without whitespace, bold type and full stop around it; one star belongs to it, as in z^*."""
    answer = answer.strip().removeprefix("**").removesuffix("**").strip()
    return answer.removesuffix(".").rstrip().removesuffix("**").rstrip() or None
