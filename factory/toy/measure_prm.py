"""What a PRM on the shipped backbone can reach with perfect labels: the ceiling of any recipe.

`python -m factory.toy.measure_prm` samples solutions from the shipped solver, labels them with the
oracle, fine-tunes the backbone on more and more of them and measures each PRM on the shipped
benchmarks: the first error found (F1 of ProcessBench, threshold chosen on the family `word`, which
the F1 leaves out) and best of 8. Size 0 is the backbone with the head it comes with.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from factory.toy import MODEL_DIR
from factory.toy.benchmark_files import (
    BENCHMARK_DIR,
    LEVELS,
    benchmark_questions,
    read_rows,
    sample_solutions,
)
from factory.toy.oracle import first_error, judge
from factory.toy.prm import BACKBONE_DIR, score_toy_prm, train_toy_prm
from factory.toy.sampling import load_sampler
from factory.toy.world import make_problems

POOL_SEED = 53_000
SIZES = (0, 100, 300, 1000, 3000)
METHODS = ("pass@1", "majority", "pass@N", "prm-min", "prm-product", "vote-min", "vote-product")


def row_by_oracle(question: str, steps: Sequence[str], error: int | None) -> dict[str, Any]:
    """A row as datasets have it: good up to the first false step, bad from it on."""
    labels = [error is None or i < error for i in range(len(steps))]
    return {"prompt": question, "completions": list(steps), "labels": labels}


def sample_pool(num_problems: int, hidden: frozenset[str]) -> list[dict[str, Any]]:
    """A labelled solution for every problem that is not hidden, in random order.

    One each, because problems teach more than further solutions of theirs.
    """
    problems = make_problems(num_problems, POOL_SEED, LEVELS)
    problems = [problem for problem in problems if problem.question not in hidden]
    solutions = sample_solutions(load_sampler(MODEL_DIR), problems, 1, POOL_SEED)
    pool = [
        row_by_oracle(problem.question, steps, first_error(judge(problem, steps)))
        for problem, written in zip(problems, solutions, strict=True)
        for steps in written
    ]
    Random(POOL_SEED).shuffle(pool)
    return pool


def measure(
    pool: Sequence[dict[str, Any]], size: int, seed: int, backbone: Path, benchmarks: Path
) -> str:
    """Trains on the first rows and says what came of it."""
    began = time.perf_counter()
    with TemporaryDirectory() as folder:
        model = backbone
        if size:
            model, rows = Path(folder) / "prm", Path(folder) / "rows.jsonl"
            rows.write_text("".join(json.dumps(row) + "\n" for row in pool[:size]))
            train_toy_prm(
                rows, model, num_solutions=size, seed=seed, say=lambda _: None, backbone=backbone
            )
        elapsed_s = time.perf_counter() - began
        report = score_toy_prm(model, benchmarks=benchmarks)
    found = {m["method"]: m for m in report["best_of"]["methods"]}
    lines = [
        f"{size} solutions, {elapsed_s:.0f} s of training",
        f"  first-error F1 {_estimate(report['processbench']['held_out_f1'])}",
    ]
    for name in METHODS:
        gain = found[name]["gain"]
        against = f"  against majority {_estimate(gain)}" if gain else ""
        lines.append(f"  best of 8, {name} {_estimate(found[name]['accuracy'])}{against}")
    return "\n".join(lines)


def _estimate(estimate: dict[str, Any]) -> str:
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", type=Path, default=BACKBONE_DIR)
    parser.add_argument("--pool", type=Path, help="file that keeps the labelled solutions")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--benchmarks", type=Path, default=BENCHMARK_DIR)
    arguments = parser.parse_args()
    hidden = benchmark_questions() | benchmark_questions(arguments.benchmarks)
    if arguments.pool is not None and arguments.pool.exists():
        pool = [row for row in read_rows(arguments.pool) if row["prompt"] not in hidden]
    else:
        pool = sample_pool(-(-max(arguments.sizes) * 21 // 20), hidden)
        if arguments.pool is not None:
            arguments.pool.write_text("".join(json.dumps(row) + "\n" for row in pool))
    for size in arguments.sizes:
        found = measure(pool, size, arguments.seed, arguments.backbone, arguments.benchmarks)
        print(found, flush=True)


if __name__ == "__main__":
    main()
