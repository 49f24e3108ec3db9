"""Finding the answer that a text states."""

import re

_SAID = re.compile(r"(?:final\s+answer|answer)\s*(?:is|:)\s*:?\s*(?P<answer>[^\n]+)", re.IGNORECASE)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BOXES = ("\\boxed", "\\fbox")


def extract_answer(text: str) -> str | None:
    r"""The last answer a solution states, or `None`.

    The last balanced `\boxed{...}` wins; without one, what follows the last `####`; without that,
    the rest of the line after the last "answer is" or "answer:". A `\boxed{` that never closes
    states nothing: the text was cut there.
    """
    if any(box in text for box in _BOXES):
        return _last_boxed(text)
    if "####" in text:
        return _cleaned(text.rsplit("####", 1)[1].split("\n", 1)[0])
    said = [match["answer"] for match in _SAID.finditer(text)]
    return _cleaned(said[-1]) if said else None


def reference_answer(text: str) -> str | None:
    r"""The answer inside a reference: GSM8K's `####`, a boxed one, or the text itself.

    `None` when nothing is left. Thousands separators of `####` answers are removed ("1,000").
    """
    if "####" in text:
        answer = _cleaned(text.rsplit("####", 1)[1])
        return answer.replace(",", "") if answer else None
    if any(box in text for box in _BOXES):
        return _last_boxed(text)
    return _cleaned(text)


def _last_boxed(text: str) -> str | None:
    """Content of the last box that closes; linear in the text, however many boxes never do."""
    closing = _closing_braces(text)
    end = len(text)
    while (start := max(text.rfind(box, 0, end) for box in _BOXES)) >= 0:
        brace = text.find("{", start, end)
        if brace in closing:
            return _cleaned(text[brace + 1 : closing[brace]])
        end = start
    return None


def _closing_braces(text: str) -> dict[int, int]:
    """Position of the closing brace by position of the opening one; escaped braces are text."""
    opened: list[int] = []
    closing: dict[int, int] = {}
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            opened.append(brace.start())
        elif brace[0] == "}" and opened:
            closing[opened.pop()] = brace.start()
    return closing


def _cleaned(answer: str) -> str | None:
    answer = answer.strip().strip("*").strip()
    answer = answer[:-1].rstrip() if answer.endswith(".") else answer
    return answer or None
