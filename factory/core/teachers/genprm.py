"""GenPRM's form: a critique in sections, one per paragraph, whose checks are executed.

After arXiv 2504.00891, section 3.3 and table A.2; the wording of the request is ours. A whole
text, as a teacher writes it:

    ### Paragraph 1
    <analyze>
    22 and 22 are added.
    </analyze>
    <verify>
    ```python
    print(22 + 22 == 44)
    ```
    [Code Output]

    ```
    True
    ```
    </verify>
    <output>
    **Judgement**: $\\boxed{Yes}$
    </output>

    **First error**: $\\boxed{-1}$

Judging ends at the first paragraph that is judged No. Paragraphs are counted from 1, in the text
only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from factory.core.teachers.form import (
    CONTRADICTION,
    EMPTY,
    MALFORMED,
    NO_CHECK,
    NOT_EXECUTED,
    OWN_OUTPUT,
    TOO_MUCH_CODE,
    UNCLOSED,
    Reading,
    asked,
)
from factory.core.teachers.genprm_checks import checks_of, num_outputs, open_code
from factory.core.teachers.genprm_text import critique_of, well_formed_judgement
from factory.core.teachers.judgements import after_thinking, reading_of
from schemas.generation import Prompt

SYSTEM = (
    "You check solutions of mathematical problems. You go through a solution paragraph by "
    "paragraph, think each one over, and test it with a short Python program."
)
REQUEST = """\
Below are a problem and a solution that is divided into numbered paragraphs. Review the paragraphs \
one after the other, starting with the first. Write one section for each, in exactly this shape:

### Paragraph {number}
<analyze>
what the paragraph claims, and whether it follows from the problem and the paragraphs before it
</analyze>
<verify>
a block of code that begins with ```python and ends with ```; the last thing it prints is True if \
the paragraph holds and False if not
</verify>
<output>
**Judgement**: $\\boxed{Yes}$ or $\\boxed{No}$
</output>

Your code is run when you close the block, and what it printed is shown to you under \
[Code Output]: never write that part yourself. Variables live on from block to block. Go no \
further than the first paragraph that you judge No. End with the line

**First error**: $\\boxed{INDEX}$

where INDEX is the number of the paragraph with the earliest error, or -1 if all are right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenPrmForm:
    """Sections with analysis, executed check and judgement."""

    system: str | None = SYSTEM
    """`None` sends no system message."""
    request: str = REQUEST
    """Comes before problem and paragraphs in the user's turn; may be empty."""
    opening: str = ""
    """What every critique begins with: "### Paragraph 1\\n<analyze>\\n" keeps a model that likes
    to think first from doing so."""
    needs_check: bool = False
    """Whether a section in which no code was executed is drawn again."""
    rejects_contradictions: bool = True
    """Whether a section whose judgement contradicts its checks is drawn again."""
    max_code_blocks: int = 4
    """How many blocks of one section are executed; a section with more is drawn again."""
    max_output_chars: int = 1000
    """Of what code prints the last so many characters are shown."""

    def __post_init__(self) -> None:
        if min(self.max_code_blocks, self.max_output_chars) < 1:
            raise ValueError("max_code_blocks and max_output_chars must be at least 1")

    @property
    def stop(self) -> tuple[str, ...]:
        return (self.code_end, self.section_end)

    @property
    def runs_code(self) -> bool:
        return True

    @property
    def code_end(self) -> str:
        return "```\n"

    @property
    def section_end(self) -> str:
        return "</output>"

    def prompt(self, question: str, steps: Sequence[str]) -> Prompt:
        paragraphs = (f"### Paragraph {i}\n{step.strip()}" for i, step in enumerate(steps, 1))
        parts = (self.request, f"Problem:\n{question}", "Solution:", *paragraphs)
        return asked(self.system, *parts, prefix=self.opening)

    def read(self, text: str, num_steps: int) -> Reading:
        """Verdicts as `critique_of` finds and `reading_of` joins them; code never counts.

        The first error is the last boxed integer after all sections, and wins where judgements
        are missing; where both are there they have to agree.
        """
        text = after_thinking(text)
        if not text.strip():
            return Reading(reason=EMPTY)
        critique = critique_of(text)
        if not critique.is_closed:
            return Reading(reason=UNCLOSED)
        return reading_of(critique.steps, critique.claim, num_steps)

    def open_code(self, text: str) -> str | None:
        return open_code(after_thinking(text))

    def code_blocks(self, text: str) -> tuple[str, ...]:
        checks = checks_of(after_thinking(text))
        return tuple(check.code for check in checks if check.output is not None)

    def with_output(self, text: str, output: str) -> str:
        """`text` is without the closing fence, as the engine gives it back.

        Long output loses its beginning; three backticks in it become quotes, so that it cannot
        end its own block.
        """
        output = output.replace("```", "'''").strip("\n")
        if len(output) > self.max_output_chars:
            output = "...\n" + output[-self.max_output_chars :]
        newline = "" if text.endswith("\n") else "\n"
        return f"{text}{newline}```\n[Code Output]\n\n```\n{output}\n```\n"

    def section_problem(self, section: str, *, step: int, num_executed: int) -> str | None:
        """Why this section is to be drawn again, `None` if it is well-formed and consistent.

        A check says True or False by its last printed line that is not blank; anything else, an
        error too, is no statement. Yes contradicts any check that says False; No contradicts
        checks that all say True. Without checks nothing is contradicted.
        """
        section = after_thinking(section)
        if num_outputs(section) != num_executed:
            return OWN_OUTPUT
        checks = checks_of(section)
        if len(checks) > self.max_code_blocks:
            return TOO_MUCH_CODE
        is_good = well_formed_judgement(section, step)
        if is_good is None:
            return MALFORMED
        if any(check.output is None for check in checks):
            return NOT_EXECUTED
        if self.needs_check and not checks:
            return NO_CHECK
        stated = {check.statement for check in checks}
        is_contradicted = False in stated if is_good else stated == {True}
        return CONTRADICTION if is_contradicted and self.rejects_contradictions else None
