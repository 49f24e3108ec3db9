"""What the tiny teacher is trained on: critiques of solutions, sampled and invented.

Wrong solutions are drawn by the place of their first error, so that late ones are not rare. Only
the critique is taught; of it neither what code printed nor a slip of mental arithmetic.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from factory.toy.benchmark_files import read_rows
from factory.toy.critiques import user_text, write_critique
from factory.toy.oracle import first_error, judge
from factory.toy.samples import (
    CHUNK_TOKENS,
    Sample,
    Segment,
    draw_problem,
    encode,
    write_drill,
)
from factory.toy.solver import Habits, write_solution
from factory.toy.teacher import build_teacher_tokenizer
from factory.toy.tokenizer import ASSISTANT, END, USER
from factory.toy.world import ToyProblem, make_problem

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ERRING = Habits(error_rate=0.2, repair_rate=0.3, detour_rate=0.12)
INVENTED_SHARE = 0.4
RIGHT_SHARE = 0.35
DRILL_SHARE = 0.06
STUBBORN_SHARE = 0.4
"""Of critiques in which words contradict a check: judged by the words, so that there is something
to draw again."""
CRITIQUE_CHARACTERS_PER_TOKEN = 4.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """A problem with a solution somebody wrote."""

    problem: ToyProblem
    steps: tuple[str, ...]


def make_critique_chunk(
    index: int, progress: float, seed: int, drawn: Path, num_tokens: int = CHUNK_TOKENS
) -> list[Sample]:
    """One portion of about `num_tokens` tokens; `drawn` is a file of the solver's solutions."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    rng = Random(f"toy critique chunk {seed} {index}")
    pools = _pools(drawn)
    written: list[list[Segment]] = []
    num_characters = 0
    while num_characters < CRITIQUE_CHARACTERS_PER_TOKEN * num_tokens:
        if rng.random() < DRILL_SHARE:
            segments = write_drill(rng, progress)
        else:
            is_invented = rng.random() < INVENTED_SHARE
            solved = _invented(rng, progress) if is_invented else _drawn(rng, pools)
            is_stubborn = rng.random() < STUBBORN_SHARE
            segments = critique_segments(
                solved.problem, solved.steps, rng.randrange(2**31), is_stubborn=is_stubborn
            )
        num_characters += sum(len(segment.text) for segment in segments)
        written.append(segments)
    return encode(written, _tokenizer())


def critique_segments(
    problem: ToyProblem, steps: Sequence[str], seed: int, *, is_stubborn: bool = False
) -> list[Segment]:
    """Request, critique and end of turn; a stubborn critique, where there is one, has no end."""
    text = f"{USER}{user_text(problem.question, steps)}{END}{ASSISTANT}"
    request = Segment(text=text, is_taught=False)
    critique = write_critique(problem, steps, seed)
    if is_stubborn and (segments := critique.stubborn_segments) is not None:
        return [request, *segments]
    return [request, *critique.segments, Segment(text=END, is_taught=True)]


def store_solutions(solutions: Iterable[Solved], path: Path) -> None:
    """One JSON line each; `_pools` reads them back."""
    with path.open("w") as file:
        for solved in solutions:
            p = solved.problem
            row = {"family": p.family, "level": p.level, "seed": p.seed, "steps": solved.steps}
            file.write(json.dumps(row) + "\n")


def _invented(rng: Random, progress: float) -> Solved:
    while True:
        problem = draw_problem(rng, progress)
        steps = write_solution(problem, rng.randrange(2**31), ERRING)
        if any(not s.is_true for s in steps) or rng.random() < RIGHT_SHARE:
            return Solved(problem=problem, steps=tuple(s.text for s in steps))


def _drawn(rng: Random, pools: dict[int | None, list[Solved]]) -> Solved:
    places = [place for place in pools if place is not None]
    if rng.random() < RIGHT_SHARE or not places:
        return rng.choice(pools[None])
    weights = [len(pools[place]) ** 0.5 for place in places]
    return rng.choice(pools[rng.choices(places, weights)[0]])


@cache
def _pools(drawn: Path) -> dict[int | None, list[Solved]]:
    """The drawn solutions by the place of their first error."""
    pools: dict[int | None, list[Solved]] = defaultdict(list)
    for row in read_rows(drawn):
        problem = make_problem(row["family"], row["level"], row["seed"])
        steps = tuple(row["steps"])
        pools[first_error(judge(problem, steps))].append(Solved(problem=problem, steps=steps))
    return dict(pools)


@cache
def _tokenizer() -> PreTrainedTokenizerFast:
    return build_teacher_tokenizer()
