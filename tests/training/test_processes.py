"""Several processes train one model: the same, but for rounding, as a single process."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from factory.training.settings import TrainSettings
from factory.training.train import train
from tests.training.builders import oracle_rows, write_rows

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("streaming", [False, True])
def test_two_processes_make_the_model_of_one(
    tmp_path: Path, tiny_model: str, streaming: bool
) -> None:
    """Both see the same batches of 16: one process in four micro-batches, two in two each."""
    settings = TrainSettings(
        data=write_rows(tmp_path / "rows.parquet", oracle_rows(64)),
        model=tiny_model,
        out=tmp_path / "one",
        learning_rate=1e-2,
        batch_size=16,
        micro_batch_size=4,
        max_steps=6,
        streaming=streaming,
    )
    train(replace(settings, out=tmp_path / "one"), lambda line: None)
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
        *("--standalone", "-m", "factory.cli", "train"),
        *("--data", settings.data, "--model", tiny_model, "--out", str(tmp_path / "two")),
        *("--learning-rate", "0.01", "--batch-size", "16", "--micro-batch-size", "4"),
        *("--max-steps", "6", "--streaming" if streaming else "--no-streaming"),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    assert done.stdout.count("64 rows read") == 1, "the main process alone reports"
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, expected in one.items():
        assert torch.allclose(expected, two[name], atol=1e-3), name
