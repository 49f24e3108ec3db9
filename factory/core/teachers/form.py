"""The seam to a teacher: a form makes the prompt, and reads what was written back as verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.generation import Message, Prompt

# Why a text cannot be read.
EMPTY = "empty"
UNCLOSED = "a tag or a code block is not closed"
NO_JUDGEMENT = "no judgement"
STEP_UNJUDGED = "a step has no judgement"
INCOMPLETE = "not every step is judged"
OUT_OF_ORDER = "steps out of order"
TOO_MANY = "more steps judged than there are"
OUT_OF_RANGE = "final index out of range"
AT_ODDS = "judgements and final index disagree"

# Why a section is drawn again.
MALFORMED = "malformed section"
OWN_OUTPUT = "wrote its own code output"
NOT_EXECUTED = "code was not executed"
NO_CHECK = "no executed check"
TOO_MUCH_CODE = "too many code blocks"
CONTRADICTION = "judgement contradicts the executed check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a teacher's text says: verdicts, or the reason why it says nothing that can be used."""

    verdicts: tuple[bool, ...] = ()
    """Is the step good? From the first step on; ends with the first bad one, else one per step."""
    reason: str | None = None
    """Few fixed words that can be counted. There are no verdicts then."""

    def __post_init__(self) -> None:
        if self.reason is not None and self.verdicts:
            raise ValueError(f"{len(self.verdicts)} verdicts in a text unreadable: {self.reason}")
        if False in self.verdicts[:-1]:
            raise ValueError(f"verdicts {self.verdicts} go on after the first bad step")

    @property
    def first_error(self) -> int | None:
        """0-based index of the bad step; `None` without one, and where nothing could be read."""
        return len(self.verdicts) - 1 if False in self.verdicts else None


def reading_at(first_error: int | None, num_steps: int) -> Reading:
    """The verdicts that follow from the first error alone; all good where there is none."""
    if first_error is None:
        return Reading(verdicts=(True,) * num_steps)
    return Reading(verdicts=(True,) * first_error + (False,))


class Form(Protocol):
    """How one teacher is asked and understood. A value that can be part of a recipe.

    The text of a critique is everything in the assistant's turn, the prompt's own prefix included.
    A section is the part of it that judges one step and ends with `section_end`.
    """

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings at which generation pauses; the engine leaves them out of the text."""
        ...

    @property
    def runs_code(self) -> bool:
        """Whether code blocks are executed."""
        ...

    @property
    def max_code_blocks(self) -> int:
        """How many blocks of one section are executed; a section with more is drawn again."""
        ...

    @property
    def code_end(self) -> str | None:
        """The stop string that may close a block of code; `None` without code."""
        ...

    @property
    def section_end(self) -> str | None:
        """The stop string that ends a section, and belongs to it; `None` without sections."""
        ...

    def prompt(self, question: str, steps: Sequence[str]) -> Prompt:
        """What the teacher is asked; the critique begins with the prompt's prefix."""
        ...

    def read(self, text: str, num_steps: int) -> Reading:
        """What the text says of the steps: any text, in linear time, never an exception."""
        ...

    def open_code(self, text: str) -> str | None:
        """The code of the Python block that is open at the end of the text; else `None`."""
        ...

    def code_blocks(self, text: str) -> tuple[str, ...]:
        """The executed blocks of the text in order: what has to be replayed before the next."""
        ...

    def with_output(self, text: str, output: str) -> str:
        """The text with its open block closed and what the code printed appended."""
        ...

    def section_problem(self, section: str, *, step: int, num_executed: int) -> str | None:
        """Why the section that judges this step (0-based) is to be drawn again, or `None`.

        `num_executed` counts the blocks that were executed in this section.
        """
        ...


def asked(system: str | None, *parts: str, prefix: str = "") -> Prompt:
    """A prompt of an optional system text and one user turn; parts that are empty are left out."""
    turns = () if system is None else (Message(role="system", content=system),)
    user = Message(role="user", content="\n\n".join(part for part in parts if part))
    return Prompt(messages=(*turns, user), prefix=prefix)


class WholeText:
    """The seam of a form whose text is drawn in one go: no pauses, no code, no sections."""

    __slots__ = ()

    @property
    def stop(self) -> tuple[str, ...]:
        return ()

    @property
    def runs_code(self) -> bool:
        return False

    @property
    def max_code_blocks(self) -> int:
        return 0

    @property
    def code_end(self) -> str | None:
        return None

    @property
    def section_end(self) -> str | None:
        return None

    def open_code(self, text: str) -> str | None:
        return None

    def code_blocks(self, text: str) -> tuple[str, ...]:
        return ()

    def with_output(self, text: str, output: str) -> str:
        return text

    def section_problem(self, section: str, *, step: int, num_executed: int) -> str | None:
        return None
