"""How good the tiny teacher's critiques are: `python -m factory.toy.measure_teacher --model DIR`.

Solutions are the shipped solver's, on held-out problems. Checks are run; the oracle is the truth.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.core.teachers.form import Reading
from factory.toy import MODEL_DIR
from factory.toy.critique_sampling import FORM, Written, load_vllm, write_critiques
from factory.toy.critiques import LOOKS_OTHER, LOOKS_RIGHT, LOOKS_WRONG
from factory.toy.measure import prompt_of
from factory.toy.oracle import first_error, judge
from factory.toy.sampling import load_sampler
from factory.toy.teacher import TEACHER_DIR, TEMPERATURE
from factory.toy.world import FAMILIES, LEVELS, ToyProblem, make_problems

PROBLEM_SEED = 9_000
SOLVER_TEMPERATURE = 0.8
_OUTPUT = re.compile(r"\[Code Output\]\n\n```\n(.*?)\n```", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A solution with the index of its first false step, and a critique of it, read."""

    problem: ToyProblem
    steps: tuple[str, ...]
    error: int | None
    written: Written
    reading: Reading

    @property
    def is_read(self) -> bool:
        return self.reading.reason is None

    @property
    def is_agreed(self) -> bool:
        """Read, and its first error is the oracle's."""
        return self.is_read and self.reading.first_error == self.error

    @property
    def step_agreements(self) -> list[bool]:
        """Of the steps both judge: is the verdict the oracle's?"""
        last = len(self.steps) if self.error is None else self.error + 1
        verdicts = self.reading.verdicts[:last]
        return [verdict == (i != self.error) for i, verdict in enumerate(verdicts)]

    @property
    def sections(self) -> list[str]:
        """One per paragraph taken up."""
        return self.written.text.split("### Paragraph ")[1:]


def measure(model: Path, num_problems: int, temperature: float) -> tuple[list[Case], float]:
    """One critique each of distinct sampled solutions, and the seconds the critiques took."""
    problems = make_problems(num_problems, PROBLEM_SEED)
    prompts = [prompt_of(problem) for problem in problems]
    completions = load_sampler(MODEL_DIR, "vllm")(prompts, SOLVER_TEMPERATURE, PROBLEM_SEED)
    solutions = [tuple(c.text.split("\n\n")) for c in completions]
    sampler = load_vllm(model)
    began = time.perf_counter()
    asked = [(p.question, steps) for p, steps in zip(problems, solutions, strict=True)]
    written = write_critiques(sampler, asked, temperature, PROBLEM_SEED)
    elapsed_s = time.perf_counter() - began
    cases = [
        Case(
            problem=problem,
            steps=steps,
            error=first_error(judge(problem, steps)),
            written=text,
            reading=FORM.read(text.text, len(steps)),
        )
        for problem, steps, text in zip(problems, solutions, written, strict=True)
    ]
    return cases, elapsed_s


def report(cases: Sequence[Case], elapsed_s: float) -> str:
    """The measurement as lines of text; level 6, which no training shows, on its own."""
    known = [c for c in cases if c.problem.level < max(LEVELS)]
    wrong = [c for c in known if c.error is not None]
    right = [c for c in known if c.error is None]
    sections = [s for c in known for s in c.sections]
    num_tokens = [c.written.num_tokens for c in known]

    def by(name: str, keys: Sequence[object], key: Callable[[Case], object]) -> list[str]:
        return [f"  {name} {k}: {_share(c.is_agreed for c in known if key(c) == k)}" for k in keys]

    return "\n".join(
        [
            f"first error as the oracle's: {_share(c.is_agreed for c in known)}",
            *by("level", LEVELS[:-1], lambda c: c.problem.level),
            *by("family", FAMILIES, lambda c: c.problem.family),
            f"  level {LEVELS[-1]}: {_share(c.is_agreed for c in cases if c not in known)}",
            f"  wrong solutions: {_share(c.is_agreed for c in wrong)}",
            f"  right solutions: {_share(c.is_agreed for c in right)}",
            "called right though wrong: "
            + _share(c.is_read and c.reading.first_error is None for c in wrong),
            "called wrong though right: "
            + _share(c.is_read and c.reading.first_error is not None for c in right),
            "steps judged as the oracle does: "
            + _share(a for c in known for a in c.step_agreements),
            f"read: {_share(c.is_read for c in known)}",
            f"every section well-formed: {_share(_is_well_formed(c) for c in known)}",
            "sections whose words contradict the check: "
            + _share(_is_contradicted(s) for s in sections),
            "sections whose judgement contradicts the check: "
            + _share(_judgement_contradicts(s) for s in sections),
            f"sections whose code states nothing: {_share(_found(s) is None for s in sections)}",
            f"tokens per critique: {sum(num_tokens) / len(known):.1f}, at most {max(num_tokens)}",
            f"tokens per section: {sum(num_tokens) / len(sections):.1f}",
            f"critiques per second: {len(cases) / elapsed_s:.1f}",
        ]
    )


def _is_well_formed(case: Case) -> bool:
    return case.is_read and len(case.sections) == len(case.reading.verdicts)


def _seems_right(section: str) -> bool | None:
    """What the analysis says in words."""
    analysis = section.partition("</analyze>")[0]
    if any(phrase in analysis for phrase in LOOKS_RIGHT):
        return True
    return False if any(p in analysis for p in (*LOOKS_WRONG, *LOOKS_OTHER)) else None


def _found(section: str) -> bool | None:
    """What the executed check printed, if that was True or False."""
    match = _OUTPUT.search(section)
    return {"True": True, "False": False}.get(match[1]) if match else None


def _is_contradicted(section: str) -> bool:
    said, found = _seems_right(section), _found(section)
    return said is not None and found is not None and said != found


def _judgement_contradicts(section: str) -> bool:
    found = _found(section)
    return found is not None and found != ("\\boxed{Yes}" in section)


def _share(verdicts: Iterable[bool]) -> str:
    """A ratio with its denominator; a dash where there is nothing to count."""
    known = list(verdicts)
    return f"{sum(known) / len(known):.3f} of {len(known)}" if known else "- of 0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=TEACHER_DIR)
    parser.add_argument("--problems", type=int, default=720, help="one solution each")
    parser.add_argument("--temperature", type=float, default=TEMPERATURE)
    parser.add_argument("--show", type=int, default=0, help="print so many misjudged critiques")
    arguments = parser.parse_args()
    cases, elapsed_s = measure(arguments.model, arguments.problems, arguments.temperature)
    for case in [c for c in cases if not c.is_agreed][: arguments.show]:
        print(case.problem.question, *case.steps, sep="\n")
        print(f"first error {case.error}, {case.reading}\n{case.written.text}\n")
    print(report(cases, elapsed_s))


if __name__ == "__main__":
    main()
