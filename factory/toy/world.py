"""Problems with known truth, each a pure function of (family, level, seed).

Training and held-out questions never meet: a seed below 2**31 is held out and a seed from 2**31 on
is for training, and a question belongs to one side by the lowest bit of its SHA-256. A seed draws
candidate questions until one falls on its own side, so no question can come from both ranges.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from factory.toy.draft import SIZES, Draft, is_modest, num_operations
from factory.toy.equations import draft_equation
from factory.toy.number_machines import draft_number_machine
from factory.toy.operations import Operation, run
from factory.toy.word_problems import draft_word_problem

FAMILIES = ("W", "M", "E")
LEVELS = (1, 2, 3, 4, 5, 6)
TRAINING_LEVELS = (1, 2, 3, 4, 5)
"""The shipped model has never seen level 6: its numbers are larger, its chains all long."""
HELD_OUT_SEEDS = range(2**31)
TRAINING_SEEDS = range(2**31, 2**32)
MAX_ATTEMPTS = 300

_DRAFTERS = {"W": draft_word_problem, "M": draft_number_machine, "E": draft_equation}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToyProblem:
    """A question, its reference answer and the plan that the oracle knows.

    `note` is an operation that the question allows and nobody needs; None where there is none.
    """

    family: str
    level: int
    seed: int
    question: str
    answer: str
    plan: tuple[Operation, ...]
    values: tuple[Fraction, ...]
    note: Operation | None

    @property
    def value(self) -> Fraction:
        """The right answer as an exact number."""
        return self.values[-1]


def make_problem(family: str, level: int, seed: int) -> ToyProblem:
    """The problem of that name; the same for ever and on every machine."""
    if family not in FAMILIES:
        raise ValueError(f"unknown family {family!r}; known: {', '.join(FAMILIES)}")
    if level not in LEVELS:
        raise ValueError(f"unknown level {level!r}; known: {LEVELS}")
    if not 0 <= seed < TRAINING_SEEDS.stop:
        raise ValueError(f"seed {seed} outside 0 to {TRAINING_SEEDS.stop - 1}")
    rng = Random(f"toy {family} {level} {seed}")
    while True:
        draft = Draft(rng=rng, level=level, num_operations=num_operations(rng, level))
        _DRAFTERS[family](draft)
        values = run(draft.plan)
        question = " ".join(draft.sentences)
        if (
            values is not None
            and _is_sound(family, level, values)
            and is_training_question(question) == (seed in TRAINING_SEEDS)
        ):
            break
    return ToyProblem(
        family=family,
        level=level,
        seed=seed,
        question=question,
        answer=_reference(values[-1], rng),
        plan=tuple(draft.plan),
        values=values,
        note=draft.note,
    )


def make_problems(
    num: int, seed: int, levels: Sequence[int] = LEVELS, *, training: bool = False
) -> list[ToyProblem]:
    """`num` problems with distinct questions, levels and families in turn; held out by default.

    A longer list begins with the shorter one of the same seed and levels.
    """
    seeds = TRAINING_SEEDS if training else HELD_OUT_SEEDS
    problems: dict[str, ToyProblem] = {}
    for index in range(num):
        level = levels[index % len(levels)]
        family = FAMILIES[index // len(levels) % len(FAMILIES)]
        problem = new_problem(family, level, seeds, f"{seed} {index}", problems)
        problems[problem.question] = problem
    return list(problems.values())


def new_problem(
    family: str, level: int, seeds: range, name: str, known: Container[str]
) -> ToyProblem:
    """The first problem of a seeded row of draws whose question is not known yet."""
    for attempt in range(MAX_ATTEMPTS):
        rng = Random(f"toy problems {name} {attempt}")
        problem = make_problem(family, level, rng.choice(seeds))
        if problem.question not in known:
            return problem
    raise ValueError(
        f"family {family} has no more new questions at level {level}: ask for fewer problems"
        " or for more levels"
    )


def problem_row(problem: ToyProblem) -> dict[str, object]:
    """The row a pipeline reads; `make_problem(**row["metadata"])` restores the problem."""
    metadata = {"family": problem.family, "level": problem.level, "seed": problem.seed}
    return {"question": problem.question, "answer": problem.answer, "metadata": metadata}


def is_training_question(question: str) -> bool:
    """Which side of the split a question belongs to, from its text alone."""
    return bool(hashlib.sha256(question.encode()).digest()[-1] & 1)


def _is_sound(family: str, level: int, values: Sequence[Fraction]) -> bool:
    """In E fractions with small terms, negative ones too; elsewhere see `is_modest`."""
    if family != "E":
        return is_modest(values, level)
    largest = SIZES[level].largest + 20
    return all(abs(v.numerator) <= largest and v.denominator <= 4 * level + 2 for v in values)


def _reference(value: Fraction, rng: Random) -> str:
    """A fraction is given as a fraction or, where that is exact, as a decimal; a fair coin says."""
    as_decimal = rng.random() < 0.5
    if value.denominator == 1:
        return str(value.numerator)
    if as_decimal and 10**4 % value.denominator == 0:
        return f"{float(value):.4f}".rstrip("0")
    return f"{value.numerator}/{value.denominator}"
