"""The toy world's own benchmarks: `python -m factory.toy.benchmark_files --out DIR`.

Two files of solutions that the shipped solver sampled for held-out problems, judged by the oracle:

- `processbench.jsonl`, in the format of Qwen/ProcessBench (arXiv 2412.06559): one solution a
  problem, for every family as many with an error as without one;
- `best_of_8.jsonl`: problems with eight solutions each and whether each ends in the right answer.

A row's id names its problem: `problem_of` restores it, so every label can be worked out again.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from factory.toy import MODEL_DIR
from factory.toy.lines import read_answer
from factory.toy.measure import prompt_of
from factory.toy.oracle import first_error, judge
from factory.toy.sampling import Sampler, load_sampler
from factory.toy.world import ToyProblem, make_problem, make_problems

BENCHMARK_DIR = Path(__file__).parent / "benchmarks"
PROCESSBENCH = BENCHMARK_DIR / "processbench.jsonl"
BEST_OF_8 = BENCHMARK_DIR / "best_of_8.jsonl"
GENERATOR = "toy-solver"
TEMPERATURE = 1.5
"""So hot that three of ten solutions are right and three of four problems have one among eight,
which the majority often misses: there is something to choose."""
SUBSETS = {"W": "word", "M": "machine", "E": "equation"}
LEVELS = (3, 4, 5)
"""Where the solver is right often and wrong often; at lower levels there is little to find."""
NUM_SOLUTIONS = 8


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Of a file of JSON lines; texts in them may have characters that end lines elsewhere."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def problem_of(row_id: str) -> ToyProblem:
    """The problem that an id such as `word-3-1234567` names."""
    subset, level, seed = row_id.split("-")[:3]
    family = next(f for f, name in SUBSETS.items() if name == subset)
    return make_problem(family, int(level), int(seed))


def benchmark_questions(folder: Path = BENCHMARK_DIR) -> frozenset[str]:
    """Every question of both files: nothing that is measured on them may train on one."""
    rows = [row for file in (PROCESSBENCH, BEST_OF_8) for row in read_rows(folder / file.name)]
    return frozenset(row["problem"] for row in rows)


def is_solved(problem: ToyProblem, steps: Sequence[str]) -> bool:
    """The last step boxes the right answer."""
    return "\\boxed" in steps[-1] and judge(problem, steps)[-1].is_true


def processbench_row(problem: ToyProblem, steps: Sequence[str]) -> dict[str, Any]:
    error = first_error(judge(problem, steps))
    return {
        "id": _name(problem),
        "generator": GENERATOR,
        "problem": problem.question,
        "steps": list(steps),
        "final_answer_correct": is_solved(problem, steps),
        "label": -1 if error is None else error,
    }


def best_of_row(problem: ToyProblem, solutions: Sequence[Sequence[str]]) -> dict[str, Any]:
    return {
        "problem_id": _name(problem),
        "problem": problem.question,
        "reference_answer": problem.answer,
        "solutions": [
            {
                "steps": list(steps),
                "answer": _answer(steps),
                "is_correct": is_solved(problem, steps),
            }
            for steps in solutions
        ],
    }


def balance(rows: Sequence[dict[str, Any]], num_per_subset: int) -> list[dict[str, Any]]:
    """The first rows of every subset, half of them with an error and half without."""
    taken: Counter[tuple[str, bool]] = Counter()
    kept = []
    for row in rows:
        kind = (row["id"].split("-")[0], row["label"] < 0)
        if taken[kind] < num_per_subset // 2:
            taken[kind] += 1
            kept.append(row)
    return sorted(kept, key=lambda row: list(SUBSETS.values()).index(row["id"].split("-")[0]))


def sample_solutions(
    sampler: Sampler,
    problems: Sequence[ToyProblem],
    num_solutions: int,
    seed: int,
    temperature: float = TEMPERATURE,
) -> Iterator[list[tuple[str, ...]]]:
    """For every problem what the model writes, as steps."""
    prompts = [prompt_of(problem) for problem in problems for _ in range(num_solutions)]
    completions = iter(sampler(prompts, temperature, seed * 1000))
    for _ in problems:
        yield [_steps(next(completions).text) for _ in range(num_solutions)]


def _steps(text: str) -> tuple[str, ...]:
    """Hot solvers leave gaps without a line between them; those are no steps."""
    return tuple(step for step in text.split("\n\n") if step.strip()) or (text,)


def _name(problem: ToyProblem) -> str:
    return f"{SUBSETS[problem.family]}-{problem.level}-{problem.seed}"


def _answer(steps: Sequence[str]) -> str | None:
    value = read_answer(steps[-1])
    return None if value is None else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkOrder:
    """What two files are made of; the seeds are those of their problems."""

    processbench_seed: int = 51_000
    best_of_seed: int = 52_000
    solutions_per_subset: int = 140
    num_best_of_problems: int = 500
    temperature: float = TEMPERATURE


def make_benchmarks(out: Path, order: BenchmarkOrder, hidden: frozenset[str] = frozenset()) -> None:
    """Writes both files, without a `hidden` question, and says how large they are."""
    out.mkdir(parents=True, exist_ok=True)
    best_of = make_problems(order.num_best_of_problems, order.best_of_seed, LEVELS)
    best_of = [problem for problem in best_of if problem.question not in hidden]
    known = hidden | {problem.question for problem in best_of}
    others = make_problems(12 * order.solutions_per_subset, order.processbench_seed, LEVELS)
    others = [problem for problem in others if problem.question not in known]
    sampler = load_sampler(MODEL_DIR)
    sample = partial(sample_solutions, sampler, temperature=order.temperature)
    solutions = sample(best_of, NUM_SOLUTIONS, order.best_of_seed)
    pairs = zip(best_of, solutions, strict=True)
    _write(out / BEST_OF_8.name, [best_of_row(problem, written) for problem, written in pairs])
    single = sample(others, 1, order.processbench_seed)
    rows = [processbench_row(p, written[0]) for p, written in zip(others, single, strict=True)]
    _write(out / PROCESSBENCH.name, balance(rows, order.solutions_per_subset))


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    print(f"{path}: {len(rows)} rows, {path.stat().st_size / 1e3:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=BENCHMARK_DIR)
    make_benchmarks(parser.parse_args().out, BenchmarkOrder())


if __name__ == "__main__":
    main()
