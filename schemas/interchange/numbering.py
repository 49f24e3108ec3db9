"""Formats that number their steps ("Step 1: ...") and set the first one behind the question.

The number belongs to the format and not to the step: readers take it off, writers put it on.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from schemas.interchange.labelled import LabelledSolution, Skip

FIRST = re.compile(r"[Ss]tep 1:")
"""Where the question ends."""
NO_BORDER = "no 'Step 1:' behind the question"


def unnumbered(steps: Iterable[str]) -> tuple[str, ...]:
    """The steps without the whitespace and "Step n:" before them and the whitespace after.

    Numbers stay unless every step has its own, in order and with text behind it. Numbered twice,
    they lose both.
    """
    texts = tuple(step.strip() for step in steps)
    matches = [re.match(rf"[Ss]tep {n}:\s*(?=\S)", t) for n, t in enumerate(texts, start=1)]
    if not texts or not all(matches):
        return texts
    return unnumbered(
        text[match.end() :] for text, match in zip(texts, matches, strict=True) if match
    )


def numbered(solution: LabelledSolution) -> list[str]:
    """The steps, each behind its number, the first one also behind the question."""
    steps = [f"Step {n}: {step}" for n, step in enumerate(solution.steps, start=1)]
    return [f"{solution.question} {steps[0]}" if solution.question else steps[0], *steps[1:]]


def kept_when_numbered(solution: LabelledSolution) -> LabelledSolution:
    """What reading gives back of numbered steps.

    Raises Skip when the question has "Step 1:" in it: nobody could tell where it ends.
    """
    if FIRST.search(solution.question):
        raise Skip("the question has 'Step 1:' in it")
    return replace(solution, question=solution.question.strip(), steps=unnumbered(solution.steps))


def split_question(opening: str) -> tuple[str, str]:
    """Question and first step of a text that has both: the first "Step 1:" is the border.

    Raises Skip where there is none; any other border would be a guess.
    """
    match = FIRST.search(opening)
    if match is None:
        raise Skip(NO_BORDER)
    return opening[: match.start()].strip(), opening[match.start() :]
