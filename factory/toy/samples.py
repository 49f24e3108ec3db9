"""What the tiny model is trained on: solutions and drills as token ids with a loss mask.

A sample is a list of segments, each taught or not. Questions, injected mistakes and the left sides
of drills are read but not taught.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TYPE_CHECKING

from factory.toy.lines import Calculation, Line, write_line
from factory.toy.operations import apply
from factory.toy.oracle import calculation_of
from factory.toy.solver import HUMAN, Habits, write_solution
from factory.toy.tokenizer import ASSISTANT, END, USER, build_tokenizer
from factory.toy.world import FAMILIES, TRAINING_LEVELS, TRAINING_SEEDS, ToyProblem, make_problem

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHUNK_TOKENS = 200_000
CHARACTERS_PER_TOKEN = 2.4
DRILL_LINES = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A piece of text that starts and ends where tokens do."""

    text: str
    is_taught: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Token ids, and for each whether the model is taught to write it."""

    ids: tuple[int, ...]
    is_taught: tuple[bool, ...]


def make_chunk(
    index: int,
    progress: float,
    seed: int,
    habits: Habits = HUMAN,
    num_tokens: int = CHUNK_TOKENS,
) -> list[Sample]:
    """One portion of about `num_tokens` tokens, in no special order; `progress` is from 0 to 1.

    Early portions lean to low levels and hold one drill to two problems; levels are even from the
    half on, drills fade to one to twenty.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    rng = Random(f"toy chunk {seed} {index}")
    drill_share = max(0.05, 0.5 * (1 - progress))
    written: list[list[Segment]] = []
    num_characters = 0
    while num_characters < CHARACTERS_PER_TOKEN * num_tokens:
        is_drill = rng.random() < drill_share / (1 + drill_share)
        segments = write_drill(rng, progress) if is_drill else _solution(rng, progress, habits)
        num_characters += sum(len(segment.text) for segment in segments)
        written.append(segments)
    return encode(written, _tokenizer())


def draw_problem(rng: Random, progress: float) -> ToyProblem:
    level = 1 + int(len(TRAINING_LEVELS) * rng.random() ** (1 + 1.2 * max(0.0, 1 - 2 * progress)))
    return make_problem(rng.choice(FAMILIES), level, rng.choice(TRAINING_SEEDS))


def _solution(rng: Random, progress: float, habits: Habits) -> list[Segment]:
    problem = draw_problem(rng, progress)
    segments = [Segment(text=f"{USER}{problem.question}{END}{ASSISTANT}", is_taught=False)]
    steps = write_solution(problem, 0, habits)
    for position, step in enumerate(steps):
        start, end = step.untaught or (len(step.text), len(step.text))
        gap = END if position == len(steps) - 1 else "\n\n"
        segments += [
            Segment(text=step.text[:start], is_taught=True),
            Segment(text=step.text[start:end], is_taught=False),
            Segment(text=step.text[end:] + gap, is_taught=True),
        ]
    return segments


def write_drill(rng: Random, progress: float) -> list[Segment]:
    """Bare operations such as problems contain, on numbers shifted a little; results are taught."""
    segments: list[Segment] = []
    while len(segments) < 2 * DRILL_LINES:
        problem = draw_problem(rng, progress)
        for operation in problem.plan:
            exact = calculation_of(operation, problem.values)
            shift = rng.randint(-9, 9) * (exact.right if exact.operator == "/" else 1)
            calculation = Calculation(
                operator=exact.operator, left=abs(exact.left + shift), right=exact.right
            )
            result = apply(calculation.operator, calculation.left, calculation.right)
            assert result is not None
            text = write_line(Line(calculation=calculation, result=result))
            cut = text.index("=") + 1
            segments.append(Segment(text=text[:cut], is_taught=False))
            segments.append(Segment(text=text[cut:] + "\n\n", is_taught=True))
    return segments


def encode(written: list[list[Segment]], tokenizer: PreTrainedTokenizerFast) -> list[Sample]:
    """One sample per list of segments, each encoded on its own."""
    texts = [segment.text for segments in written for segment in segments]
    encoded = iter(tokenizer(texts, add_special_tokens=False)["input_ids"])
    samples = []
    for segments in written:
        ids: list[int] = []
        is_taught: list[bool] = []
        for segment in segments:
            piece = next(encoded)
            ids += piece
            is_taught += [segment.is_taught] * len(piece)
        samples.append(Sample(ids=tuple(ids), is_taught=tuple(is_taught)))
    return samples


@cache
def _tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer()
