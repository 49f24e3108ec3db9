"""ThinkPRM's form: one chain of thought that decides on each step in turn, without code.

After arXiv 2504.16828; the wording of the request is ours. A text is lines like
"Step 1: 22 and 22 are 44. The step is \\boxed{correct}" and ends with the first incorrect step.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from factory.core.teachers.form import EMPTY, Reading, WholeText, asked
from factory.core.teachers.judgements import Judged, after_thinking, reading_of
from schemas.generation import Prompt

REQUEST = """\
Below are a mathematical problem and a proposed solution, one step to a line. Go through the steps \
in their order and examine each. Write for each step one paragraph that begins with its name, such \
as "Step 1:", and ends with "The step is \\boxed{correct}" or "The step is \\boxed{incorrect}". \
Stop after the first incorrect step."""

THOUGHTS, THOUGHTS_END = "<think>", "</think>"
QUESTION = "\nIs the solution correct?"
"""Follows the thoughts (arXiv 2504.16828): trainer and scorer take it from here."""
ANSWERS = {True: " Yes", False: " No"}

# Bounded repetitions: any text is searched in linear time.
_MARK = re.compile(
    r"""
    ^[ \t*\#>]{0,8}step[ \t]{1,4}(?P<number>[0-9]{1,9})[ \t*]{0,4}[:.]
    | \\boxed\{\s{0,4}(?:\\[a-z]{4,6}\{\s{0,4})?(?P<decision>correct|incorrect)[ .!]{0,3}\}
      [}$.*)]{0,4}
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkPrmForm(WholeText):
    """Steps with a boxed decision each."""

    system: str | None = None
    """`None` sends no system message."""
    request: str = REQUEST
    """Comes before problem and steps in the user's turn; may be empty."""

    def prompt(self, question: str, steps: Sequence[str]) -> Prompt:
        solution = f"Solution:\n{numbered(steps)}"
        return asked(self.system, self.request, f"Problem:\n{question}", solution)

    def read(self, text: str, num_steps: int) -> Reading:
        """The last decision in each step counts; what follows the first incorrect one does not.

        Without any "Step n:" the decisions are those of the steps in order.
        """
        text = after_thinking(text)
        if not text.strip():
            return Reading(reason=EMPTY)
        return reading_of(decisions_of(text), None, num_steps)


def numbered(steps: Sequence[str]) -> str:
    """The steps as ThinkPRM's prefix: "Step 1: ...", a line each."""
    return "\n".join(f"Step {i}: {step.strip()}" for i, step in enumerate(steps, 1))


def concluded(chain: str, is_good: bool) -> str:
    """What a model learns to write: a chain as its thoughts, the question, and the answer.

    The chain may come with the tags of thoughts or without, and with a text behind them: only the
    thoughts are taken, up to their last decision as far as they have any.
    """
    thoughts = chain.strip().removeprefix(THOUGHTS).partition(THOUGHTS_END)[0]
    thoughts = thoughts.partition(QUESTION)[0].strip()
    thoughts = cut_after_last_decision(thoughts) or thoughts
    return f"{THOUGHTS}\n{thoughts}\n{THOUGHTS_END}{QUESTION}{ANSWERS[is_good]}"


def cut_after_last_decision(text: str) -> str:
    """The text up to its last decision: that on the first incorrect step, if there is one.

    Without decisions nothing is left. Thoughts that a reasoning model closed are left out.
    """
    text = after_thinking(text)
    decided = [step for step in decisions_of(text) if step.is_good is not None]
    ends = (step.end for step in decided if not step.is_good)
    return text[: next(ends, decided[-1].end if decided else 0)].strip()


def decisions_of(text: str) -> tuple[Judged, ...]:
    """The steps as the text takes them up, each with its last decision, and where that stands."""
    marks = list(_MARK.finditer(text))
    is_numbered = any(mark["number"] for mark in marks)
    steps: list[Judged] = []
    for mark in marks:
        if number := mark["number"]:
            last = steps[-1] if steps else None
            if last is None or last.step != int(number) - 1 or last.is_good is not None:
                steps.append(Judged(step=int(number) - 1, is_good=None))
            continue
        if is_numbered and not steps:
            continue
        step = steps.pop().step if is_numbered else len(steps)
        is_good = mark["decision"].lower() == "correct"
        steps.append(
            Judged(step=step, is_good=is_good, start=mark.start("decision"), end=mark.end())
        )
    return tuple(steps)
