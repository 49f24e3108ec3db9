"""Several processes train one model: the same, but for rounding, as a single process."""

import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from factory.training.settings import TrainSettings
from factory.training.train import train
from tests.training.builders import oracle_rows, write_rows
from tests.training.test_conversations import CHAT

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


AS_LAUNCHED = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
    "FSDP_SYNC_MODULE_STATES": "true",
}
"""What `accelerate launch` makes of the README's line."""


def train_by_two(
    settings: TrainSettings, program: str = "factory.cli", **environment: str
) -> subprocess.CompletedProcess[str]:
    """`prm-factory train` in two processes, which speak by gloo."""
    told = ("kind", "learning_rate", "batch_size", "micro_batch_size", "epochs", "lora_rank")
    told += ("save_steps",)
    return subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *("--standalone", "-m", program, "train"),
            *("--data", settings.data, "--model", settings.model, "--out", str(settings.out)),
            *(f"--{name.replace('_', '-')}={getattr(settings, name)}" for name in told),
            "--streaming" if settings.streaming else "--no-streaming",
            *(["--bf16"] if settings.bf16 else []),
            *(["--resume"] if settings.resume else []),
        ],
        cwd=ROOT,
        env={**os.environ, **environment, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=580,
    )


@pytest.mark.parametrize(
    ("num_rows", "given"),
    [
        (64, {"streaming": True}),
        (64, {}),
        (65, {}),
        (73, {"lora_rank": 2}),
        (73, {"kind": "generative"}),
    ],
    ids=["stream", "even", "one over", "LoRA", "generative"],
)
def test_two_processes_make_the_model_of_one(
    tmp_path: Path, tiny_model: str, num_rows: int, given: dict[str, Any]
) -> None:
    """Both see the same batches of 16: one process in four micro-batches, two in two each. At the
    end of a pass of 65 or 73 the second has none for its last micro-batch."""
    rows: list[dict[str, Any]] = oracle_rows(num_rows)
    if given.get("kind") == "generative":
        rows = [{"conversations": [*CHAT] * (1 + i % 3)} for i in range(num_rows)]
    settings = TrainSettings(
        data=write_rows(tmp_path / "rows.parquet", rows),
        model=tiny_model,
        out=tmp_path / "one",
        learning_rate=1e-2,
        batch_size=16,
        micro_batch_size=4,
        epochs=2,
        **{"streaming": False, **given},
    )
    train(settings, lambda line: None)
    done = train_by_two(replace(settings, out=tmp_path / "two"))
    assert done.returncode == 0, done.stderr[-3_000:]
    assert done.stdout.count(f"{num_rows} rows read") == 1, "the main process alone reports"
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    difference = max((one[name] - two[name]).abs().max().item() for name in one)
    assert difference < 1e-4


@pytest.mark.parametrize(
    ("kind", "bf16", "tolerance"),
    [("discriminative", False, 1e-4), ("discriminative", True, 5e-2), ("generative", False, 1e-4)],
)
def test_weights_in_shards_are_saved_whole(
    tmp_path: Path, tiny_model: str, kind: str, bf16: bool, tolerance: float
) -> None:
    """FSDP2 with accelerate's own kind of checkpoint, which is one of shards. Computed in bfloat16
    a gradient near zero may have either sign, and Adam's first steps are of 1e-2."""
    is_generative = kind == "generative"
    rows = [{"conversations": CHAT}] * 32 if is_generative else oracle_rows(32)
    settings = TrainSettings(
        data=write_rows(tmp_path / "rows.parquet", rows),
        model=tiny_model,
        out=tmp_path / "one",
        kind=kind,
        learning_rate=1e-2,
        batch_size=16,
        epochs=1,
        bf16=bf16,
        streaming=False,
    )
    train(settings, lambda line: None)
    done = train_by_two(
        replace(settings, out=tmp_path / "two"),
        program="tests.training.sharded",
        **AS_LAUNCHED,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "2 shards" in done.stdout
    assert {path.name for path in (tmp_path / "two").iterdir()} == {
        path.name for path in (tmp_path / "one").iterdir()
    }
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert {weight.dtype for weight in two.values()} == {torch.bfloat16 if bf16 else torch.float32}
    assert max((one[name] - two[name]).abs().max().item() for name in one) < tolerance
    configs = ((tmp_path / name / "config.json").read_text() for name in ("one", "two"))
    assert len(set(configs)) == 1


def test_a_resumed_run_of_shards_ends_with_the_weights_of_one_process(
    tmp_path: Path, tiny_model: str
) -> None:
    """Saved after each of six steps, and interrupted in the fifth, the second of its pass."""
    settings = TrainSettings(
        data=write_rows(tmp_path / "rows.parquet", oracle_rows(48)),
        model=tiny_model,
        out=tmp_path / "one",
        learning_rate=1e-2,
        batch_size=16,
        epochs=2,
        save_steps=1,
        streaming=False,
    )
    train(settings, lambda line: None)
    sharded = replace(settings, out=tmp_path / "two")
    cut = train_by_two(sharded, "tests.training.sharded", INTERRUPTED_AFTER="4", **AS_LAUNCHED)
    assert cut.returncode != 0
    assert (tmp_path / "two" / "checkpoints" / "checkpoint-4").is_dir()
    done = train_by_two(replace(sharded, resume=True), "tests.training.sharded", **AS_LAUNCHED)
    assert done.returncode == 0, done.stderr[-3_000:]
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-4


def test_all_processes_stop_before_the_step_that_diverges(tmp_path: Path, tiny_model: str) -> None:
    settings = TrainSettings(
        data=write_rows(tmp_path / "rows.parquet", oracle_rows(64)),
        model=tiny_model,
        out=tmp_path / "two",
        learning_rate=1e20,
        batch_size=16,
        epochs=1,
        save_steps=1,
    )
    done = train_by_two(settings)
    assert done.returncode != 0
    assert done.stderr.count("error: the run diverged") == 1
    assert [path.name for path in (settings.out / "checkpoints").iterdir()] == ["checkpoint-1"]


@pytest.mark.parametrize("mistake", ["no such file", "nothing to learn"])
def test_the_main_process_alone_tells_a_mistake(
    tmp_path: Path, tiny_model: str, mistake: str
) -> None:
    """Both notice the first, and the one that makes the examples the second. Nobody ends the other
    process here, as torchrun would: it has some seconds to say something."""
    rows = [row | {"labels": [None] * len(row["labels"])} for row in oracle_rows(3)]
    data = write_rows(tmp_path / "none.parquet", rows)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [
        *(sys.executable, "-m", "factory.cli", "train", "--model", tiny_model, "--no-streaming"),
        *("--data", "./none" if mistake == "no such file" else data, "--out", str(tmp_path / "p")),
    ]
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    main, other = (
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={
                **os.environ, **together, "RANK": rank, "LOCAL_RANK": rank,
                "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT),
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    )  # fmt: skip
    told = main.communicate(timeout=300)[1]
    with suppress(subprocess.TimeoutExpired):
        other.wait(timeout=8)
    other.terminate()
    assert main.returncode == 2
    assert f"error: {mistake}" in told
    silent = other.communicate(timeout=60)[1]
    assert other.returncode != 0
    assert "Traceback" not in silent
    assert "error:" not in silent
