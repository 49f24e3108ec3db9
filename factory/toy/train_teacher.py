"""Train the tiny teacher from the solver: `python -m factory.toy.train_teacher --out DIR ...`.

The solver first solves training problems; its solutions, right and wrong, are what the teacher
learns to criticise. They are kept in the file `--drawn` and drawn only if that is not there.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from factory.toy import MODEL_DIR
from factory.toy.critique_samples import Solved, make_critique_chunk, store_solutions
from factory.toy.measure import prompt_of
from factory.toy.sampling import load_sampler
from factory.toy.teacher import build_teacher, build_teacher_tokenizer
from factory.toy.train import Run, batches, learn, save
from factory.toy.world import TRAINING_LEVELS, make_problems

TEMPERATURES = (0.8, 0.8, 1.0, 1.0)
PROBLEM_SEED = 40_001


def draw_solutions(num_problems: int) -> Iterator[Solved]:
    """What the shipped solver makes of training problems, each solution of a problem once."""
    problems = make_problems(num_problems, PROBLEM_SEED, TRAINING_LEVELS, training=True)
    sampler = load_sampler(MODEL_DIR)
    prompts = [prompt_of(problem) for problem in problems]
    seen: set[tuple[str, str]] = set()
    for turn, temperature in enumerate(TEMPERATURES):
        completions = sampler(prompts, temperature, (PROBLEM_SEED + turn) * 1_000_003)
        for problem, completion in zip(problems, completions, strict=True):
            if (problem.question, completion.text) not in seen:
                seen.add((problem.question, completion.text))
                yield Solved(problem=problem, steps=tuple(completion.text.split("\n\n")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--drawn", type=Path, required=True, help="file of the solver's solutions")
    parser.add_argument("--problems", type=int, default=5000, help="problems the solver solves")
    parser.add_argument("--tokens", type=int, default=10_000_000, help="training tokens, in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, default=MODEL_DIR, help="solver or teacher")
    parser.add_argument("--peak-rate", type=float, default=1.0, help="share of the learning rates")
    arguments = parser.parse_args()
    if not arguments.drawn.exists():
        arguments.drawn.parent.mkdir(parents=True, exist_ok=True)
        store_solutions(list(draw_solutions(arguments.problems)), arguments.drawn)
    run = Run(
        tokens=arguments.tokens,
        seed=arguments.seed,
        start=arguments.start,
        peak_rate=arguments.peak_rate,
    )
    tokenizer = build_teacher_tokenizer()
    network = build_teacher(tokenizer, arguments.start)
    write = partial(make_critique_chunk, seed=run.seed, drawn=arguments.drawn)
    learn(network, batches(write, run, tokenizer.pad_token_id), run)
    save(network, tokenizer, arguments.out)


if __name__ == "__main__":
    main()
