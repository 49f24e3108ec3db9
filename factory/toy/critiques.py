"""Written critiques for training: what a step says, what is needed, a Python check, a verdict.

The text is GenPRM's (arXiv 2504.00891), judged until the first wrong paragraph:

### Paragraph 1
<analyze>
The step says 22 + 22 = 43. The problem needs 22 + 22 = 44. That looks wrong.
</analyze>
<verify>
```python
print(22 + 22 == 43)
```
[Code Output]

```
False
```
</verify>
<output>
**Judgement**: $\\boxed{No}$
</output>

**First error**: $\\boxed{1}$

The judgement is the oracle's, and the check always agrees with it: it compares results, or the
lines themselves where a wrong way led to the right number. The analysis reckons in its head, and
where a slip is injected there (read, not taught) it contradicts the check that was run. A stubborn
critique then believes its head, and goes no further.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from factory.toy.lines import is_answer
from factory.toy.needs import Need, needs, write_number
from factory.toy.oracle import judge
from factory.toy.samples import Segment
from factory.toy.world import ToyProblem

IMPORT = "from fractions import Fraction as F\n"
SAID = {"answer": ("The answer given is",)}
SAID_ELSEWHERE = ("The step says", "The text has")
WANTED = {
    "step": (" The problem needs", " Now we need", " Next comes"),
    "repair": (" The problem needs", " Said again, it is"),
    "check": (" A check would be", " Undoing it gives"),
    "note": (" The problem allows", " A true remark is"),
    "answer": (" The last thing needed is", " The problem ends with"),
}
LOOKS_RIGHT = (" That looks right.", " These agree.")
LOOKS_WRONG = (" That looks wrong.", " The results differ.")
LOOKS_OTHER = (" That is something else.", " That is not what is needed.")
OPEN_ANALYSIS = "\n<analyze>\n"
OPEN_CODE = "\n</analyze>\n<verify>\n```python\n"
CLOSE_CODE = "\n```\n"
OPEN_OUTPUT = "[Code Output]\n\n```\n"
OPEN_JUDGEMENT = "</verify>\n<output>\n**Judgement**: $\\boxed{"
CLOSE_JUDGEMENT = "}$\n</output>"
FIRST_ERROR = "**First error**: $\\boxed{"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The critique of one step; `seems_right` is what its analysis says in words."""

    segments: tuple[Segment, ...]
    code: str
    output: str
    seems_right: bool
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Critique:
    """Sections up to the first wrong step, whose 0-based index is `first_error`, if any."""

    sections: tuple[Section, ...]
    first_error: int | None

    @property
    def segments(self) -> list[Segment]:
        """The whole text with what is taught of it."""
        number = -1 if self.first_error is None else self.first_error + 1
        ending = Segment(text=f"{FIRST_ERROR}{number}}}$", is_taught=True)
        gap = Segment(text="\n\n", is_taught=True)
        return [s for section in self.sections for s in (*section.segments, gap)] + [ending]

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)

    @property
    def stubborn_segments(self) -> list[Segment] | None:
        """The text up to the first section whose words contradict its check, judged as they say.

        `None` where words and checks are of one mind throughout.
        """
        places = (i for i, s in enumerate(self.sections) if s.seems_right != s.is_right)
        if (end := next(places, None)) is None:
            return None
        gap = Segment(text="\n\n", is_taught=True)
        before = [s for section in self.sections[:end] for s in (*section.segments, gap)]
        stubborn = self.sections[end]
        judgement = "Yes" if stubborn.seems_right else "No"
        said = Segment(text=f"{OPEN_JUDGEMENT}{judgement}{CLOSE_JUDGEMENT}", is_taught=True)
        return [*before, *stubborn.segments[:-1], said]


def write_critique(
    problem: ToyProblem, steps: Sequence[str], seed: int, slip_rate: float = 0.12
) -> Critique:
    """The critique of any solution; the same for the same arguments."""
    name = f"{problem.family} {problem.level} {problem.seed}"
    rng = Random(f"toy critique {name} {seed} {steps}")
    truths = judge(problem, steps)
    sections = tuple(
        _write_section(problem.family, index, step, need, rng, slip_rate)
        for index, (step, need) in enumerate(
            zip(steps, needs(problem, steps, truths), strict=False)
        )
    )
    error = None if not sections or sections[-1].is_right else len(sections) - 1
    return Critique(sections=sections, first_error=error)


def user_text(question: str, steps: Sequence[str]) -> str:
    """What the chat template leaves of a request for a critique in GenPRM's form."""
    paragraphs = (f"### Paragraph {i}\n{step.strip()}" for i, step in enumerate(steps, 1))
    return "\n\n".join((question, "Solution:", *paragraphs))


def _write_section(
    family: str, index: int, step: str, need: Need, rng: Random, slip_rate: float
) -> Section:
    believed = _reckon(need, rng) if rng.random() < slip_rate else need.value
    seems_right = need.is_same_way and need.claim == believed
    wanted = f"{need.name} = {need.words}" if need.name else need.words
    code = f"print({need.code} == {write_number(need.claim, family)})"
    if need.value == need.claim and not need.is_true:
        code = f'print("{wanted} = {need.value}" == "{_claimed(step, need)}")'
    if family == "E" and index == 0:
        code = IMPORT + code
    judgement = "Yes" if need.is_true else "No"
    looks = LOOKS_RIGHT if seems_right else LOOKS_WRONG if need.is_same_way else LOOKS_OTHER
    said = rng.choice(SAID.get(need.kind, SAID_ELSEWHERE))
    opening = f"### Paragraph {index + 1}{OPEN_ANALYSIS}{said} {_claimed(step, need)}."
    segments = (
        Segment(text=f"{opening}{rng.choice(WANTED[need.kind])} {wanted} =", is_taught=True),
        Segment(text=f" {believed}", is_taught=believed == need.value),
        Segment(
            text=f".{rng.choice(looks)}{OPEN_CODE}{code}{CLOSE_CODE}",
            is_taught=True,
        ),
        Segment(text=f"{OPEN_OUTPUT}{need.is_true}{CLOSE_CODE}", is_taught=False),
        Segment(text=f"{OPEN_JUDGEMENT}{judgement}{CLOSE_JUDGEMENT}", is_taught=True),
    )
    return Section(
        segments=segments,
        code=code,
        output=str(need.is_true),
        seems_right=seems_right,
        is_right=need.is_true,
    )


def _claimed(step: str, need: Need) -> str:
    """The step without its mark and full stop; of an answer the number."""
    if is_answer(step) and need.claim is not None:
        return str(need.claim)
    for mark in ("Wait, ", "Check: ", "Note: "):
        step = step.removeprefix(mark)
    return " ".join(step.split()).removesuffix(".")


def _reckon(need: Need, rng: Random) -> Fraction:
    """Mental arithmetic gone wrong; at times it falls for what the step claims."""
    if need.claim is not None and need.claim != need.value and rng.random() < 0.4:
        return need.claim
    return need.value + rng.choice((-10, -2, -1, 1, 2, 10))
