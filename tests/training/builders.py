"""What a training run reads: toy solutions with the oracle's labels, and a tiny language model."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from factory.toy import MODEL_DIR
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


def save_tiny_model(folder: Path) -> str:
    """A language model of a few thousand parameters that knows the toy world's tokens."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
