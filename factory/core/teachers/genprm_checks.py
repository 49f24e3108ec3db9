"""The code in a GenPRM text, and what it printed.

Three backticks open and close a block in turn, wherever they stand.
"""

import re
from dataclasses import dataclass

FENCE = "```"
CODE_OUTPUT = "[Code Output]"
_PYTHON = ("python", "python3", "py")
_ANY_OUTPUT = re.compile(r"\[code output", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A block of Python and what it printed; `None` where it was not executed."""

    code: str
    output: str | None

    @property
    def statement(self) -> bool | None:
        """What the last printed line that is not blank says; `None` unless True or False."""
        last = (self.output or "").rstrip().rpartition("\n")[2].strip()
        return {"True": True, "False": False}.get(last)


def masked(text: str) -> str:
    """The text with blanks for what stands in its blocks; all positions stay."""
    parts = text.split(FENCE)
    return FENCE.join(" " * len(part) if i % 2 else part for i, part in enumerate(parts))


def has_open_block(text: str) -> bool:
    """Whether a block of any language is open at the end."""
    return text.count(FENCE) % 2 == 1


def open_code(text: str) -> str | None:
    """The code of a block of Python that is open at the end; `None` if none or another is."""
    return _python(text.rpartition(FENCE)[2]) if has_open_block(text) else None


def checks_of(text: str) -> tuple[Check, ...]:
    """The closed blocks of Python, each with the output that follows it directly."""
    parts = text.split(FENCE)
    blocks, between = parts[1 : len(parts) - 1 : 2], parts[2::2]
    checks: list[Check] = []
    for i, block in enumerate(blocks):
        if (code := _python(block)) is not None:
            is_executed = i + 1 < len(blocks) and between[i].strip() == CODE_OUTPUT
            checks.append(Check(code=code, output=blocks[i + 1] if is_executed else None))
    return tuple(checks)


def num_outputs(text: str) -> int:
    """How often something is given out as the output of code, in any common way."""
    languages = (block.partition("\n")[0].strip() for block in text.split(FENCE)[1::2])
    return sum(lang == "output" for lang in languages) + len(_ANY_OUTPUT.findall(masked(text)))


def _python(block: str) -> str | None:
    language, _, code = block.partition("\n")
    return code if language.strip().lower() in _PYTHON else None
