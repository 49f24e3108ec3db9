"""Toy solutions with the oracle's labels, as files a training run reads."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from factory.toy.oracle import judge
from factory.toy.solver import FLAWLESS, Habits, write_solution
from factory.toy.world import make_problems

ERRING = Habits(error_rate=0.25, repair_rate=0.0, detour_rate=0.0)


def oracle_rows(num: int, seed: int = 0, levels: Sequence[int] = (1, 2)) -> list[dict[str, Any]]:
    """Solutions of distinct problems, each step labelled by the oracle."""
    rows = []
    for problem in make_problems(num, seed, levels, training=True):
        steps = write_solution(problem, seed, ERRING)
        rows.append(
            {
                "prompt": problem.question,
                "completions": [step.text for step in steps],
                "labels": [step.is_true for step in steps],
            }
        )
    return rows


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    """A Parquet file of the rows; returns what `--data` takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=100)
    return str(path)


def rows_with_plain_errors(num: int, seed: int) -> list[dict[str, Any]]:
    """Right solutions, in every other one of which a calculation comes out as 0.

    The labels are the oracle's, of what was written.
    """
    rows = []
    for index, problem in enumerate(make_problems(num, seed, (1, 2, 3), training=True)):
        steps = [step.text for step in write_solution(problem, seed, FLAWLESS)]
        if index % 2:
            broken = (index // 2) % (len(steps) - 1)
            steps[broken] = re.sub(r"= .*", "= 0.", steps[broken])
        truths = judge(problem, steps)
        rows.append(
            {
                "prompt": problem.question,
                "completions": steps,
                "labels": [truth.is_true for truth in truths],
            }
        )
    return rows
