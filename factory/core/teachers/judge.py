"""A judge's form: free text that ends with the boxed index of the first error.

The plain judge and ProcessBench's critic (arXiv 2412.06559) differ in their templates alone, so
they are two values of one class. Both count paragraphs from 0, and say -1 for no error. The
wording of the requests is ours.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from factory.core.teachers.form import EMPTY, NO_JUDGEMENT, Reading, WholeText, asked
from factory.core.teachers.judgements import after_thinking, claim_from, reading_of
from schemas.generation import Prompt

PLAIN_REQUEST = """\
Find the earliest mistake in the solution of this problem. Its steps are numbered from 0. End \
your answer with the number of the first wrong step in \\boxed{}, or with \\boxed{-1} if no step \
is wrong."""
PROCESS_BENCH_REQUEST = """\
Below are a mathematical problem and a solution. The paragraphs of the solution stand in tags and \
are numbered from 0. Review them one by one, and say of each whether it is right. As soon as one \
is wrong, give the number of this earliest wrong paragraph; give -1, which means "not found", if \
all are right. Put that number in \\boxed{} at the end of your answer."""

# Bounded repetitions: any text is searched in linear time.
_INDEX = re.compile(
    r"\\boxed\{\s{0,4}(?:\\[a-z]{4,6}\{\s{0,4})?(?:<?paragraph[ _]{1,2})?(-?[0-9]{1,40})"
    r"[\s>]{0,4}\}",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeForm(WholeText):
    """One index for the whole solution; the last boxed integer counts."""

    request: str = PLAIN_REQUEST
    """Comes before problem and steps in the user's turn; may be empty."""
    step_template: str = "[{index}] {step}"
    """How a step is shown; the names in braces are replaced."""
    system: str | None = None
    """`None` sends no system message."""

    def prompt(self, question: str, steps: Sequence[str]) -> Prompt:
        shown = "\n\n".join(
            self.step_template.replace("{index}", str(i)).replace("{step}", step.strip())
            for i, step in enumerate(steps)
        )
        return asked(self.system, self.request, f"Problem:\n{question}", f"Solution:\n{shown}")

    def read(self, text: str, num_steps: int) -> Reading:
        """All verdicts follow from the index. Boxed text that is no integer is passed over."""
        text = after_thinking(text)
        if not text.strip():
            return Reading(reason=EMPTY)
        indices = _INDEX.findall(text)
        if not indices:
            return Reading(reason=NO_JUDGEMENT)
        return reading_of((), claim_from(indices[-1], base=0), num_steps)


JUDGE = JudgeForm()
PROCESS_BENCH = JudgeForm(
    request=PROCESS_BENCH_REQUEST,
    step_template="<paragraph_{index}>\n{step}\n</paragraph_{index}>",
)
