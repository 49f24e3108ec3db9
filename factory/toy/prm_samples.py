"""What the PRM backbone is trained on: corrupted solutions and drills as token ids with targets.

The layout is that of Qwen2.5-Math-PRM: every line is followed by one separator token.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TYPE_CHECKING

from factory.toy.corruptions import Rates, WrittenLine, write_corrupted, write_drill
from factory.toy.samples import CHARACTERS_PER_TOKEN, CHUNK_TOKENS
from factory.toy.tokenizer import ASSISTANT, END, USER, build_tokenizer
from factory.toy.world import FAMILIES, TRAINING_SEEDS, ToyProblem, make_problem

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SEPARATOR = "<extra_0>"
UNKNOWN = -100
DRILL_LINES = 10
FLAWLESS_SHARE = 0.3
LEVEL_WEIGHTS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionSample:
    """Token ids and targets, all of one length; UNKNOWN is where no loss is taken.

    `is_replaced` is 1 at the first token that differs from the honest line, 0 before it and at
    separators of honest lines, 1 at the others.
    `is_broken`, at separators of solutions, is 1 from the first replaced line on.
    """

    ids: tuple[int, ...]
    is_replaced: tuple[int, ...]
    is_broken: tuple[int, ...]


def make_detection_chunk(
    index: int, progress: float, seed: int, num_tokens: int = CHUNK_TOKENS
) -> list[DetectionSample]:
    """One portion of about `num_tokens` tokens; drills fade from half of the samples to a fifth."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    rng = Random(f"toy detection {seed} {index}")
    drill_share = 0.5 - 0.3 * progress
    written: list[tuple[str, list[WrittenLine]]] = []
    num_characters = 0
    while num_characters < CHARACTERS_PER_TOKEN * num_tokens:
        if rng.random() < drill_share:
            prompt, lines = "", _drill(rng)
        else:
            problem = _problem(rng)
            prompt, lines = prompt_of(problem), write_corrupted(problem, rng, _rates(rng))
        num_characters += len(prompt) + sum(len(line.text) + 2 for line in lines)
        written.append((prompt, lines))
    return encode(written, _tokenizer())


def prompt_of(problem: ToyProblem) -> str:
    return f"{USER}{problem.question}{END}{ASSISTANT}"


def _problem(rng: Random) -> ToyProblem:
    level = rng.choices(list(LEVEL_WEIGHTS), list(LEVEL_WEIGHTS.values()))[0]
    family = rng.choices(FAMILIES, (2, 3, 3))[0]
    return make_problem(family, level, rng.choice(TRAINING_SEEDS))


def _rates(rng: Random) -> Rates:
    return Rates(replaced=0.0 if rng.random() < FLAWLESS_SHARE else 0.22)


def _drill(rng: Random) -> list[WrittenLine]:
    lines: list[WrittenLine] = []
    while len(lines) < DRILL_LINES:
        lines += write_drill([_problem(rng)], rng, replaced=0.4)
    rng.shuffle(lines)
    return lines


def encode(
    written: list[tuple[str, list[WrittenLine]]], tokenizer: PreTrainedTokenizerFast
) -> list[DetectionSample]:
    """One sample per prompt and its lines; a sample without a prompt has no `is_broken`."""
    texts = [t for prompt, lines in written for t in (prompt, *(x.text for x in lines))]
    texts += [x.honest for _, lines in written for x in lines if x.is_replaced]
    pieces = tokenizer(texts, add_special_tokens=False)["input_ids"]
    standing = iter(pieces)
    honest = iter(pieces[sum(1 + len(lines) for _, lines in written) :])
    separator = tokenizer.convert_tokens_to_ids(SEPARATOR)
    samples = []
    for prompt, lines in written:
        ids = list(next(standing))
        replaced, broken = ([UNKNOWN] * len(ids) for _ in range(2))
        is_broken = False
        for line in lines:
            piece = next(standing)
            place = first_difference(piece, next(honest)) if line.is_replaced else len(piece)
            is_broken |= line.is_replaced
            ids += [*piece, separator]
            replaced += [0] * place
            if line.is_replaced:
                replaced += [1, *[UNKNOWN] * (len(piece) - place - 1)]
            replaced.append(int(line.is_replaced))
            broken += [*[UNKNOWN] * len(piece), int(is_broken) if prompt else UNKNOWN]
        samples.append(
            DetectionSample(
                ids=tuple(ids),
                is_replaced=tuple(replaced),
                is_broken=tuple(broken),
            )
        )
    return samples


def first_difference(one: list[int], other: list[int]) -> int:
    """The index of the first token where they differ; a line never is the start of another."""
    return next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)


@cache
def _tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer()
