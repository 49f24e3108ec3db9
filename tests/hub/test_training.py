"""A PRM is trained straight from a repository: its rows are streamed, no shard is kept on disk."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.factory.builders import group, solution
from tests.factory.test_show import finished
from tests.hub.protocol import Hub
from tests.hub.quick import REPO, push_quickly
from tests.training.builders import save_tiny_model

ROOT = Path(__file__).parents[2]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    groups = [group(f"p{i}", solution(f"s{i}", 8, 2, i % 3), solution(f"t{i}")) for i in range(9)]
    return finished(tmp_path / "job", *groups) / "dataset"


@pytest.fixture
def model(tmp_path: Path) -> str:
    return save_tiny_model(tmp_path / "model")


Run = subprocess.Popen[str]


def training(data: object, model: str, out: Path, env: dict[str, str]) -> Run:
    command = [sys.executable, "-m", "factory.cli", "train", "--data", str(data), "--streaming"]
    command += ["--model", model, "--out", str(out), "--batch-size", "4", "--epochs", "2"]
    said = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=said, stderr=said, text=True)


def ended(run: Run) -> tuple[int, str]:
    """Exit code and what was said of errors."""
    _, errors = run.communicate(timeout=240)
    return run.returncode, errors


@pytest.mark.slow
def test_training_from_the_hub_is_training_from_the_folder(
    hub: Hub, dataset: Path, model: str, tmp_path: Path, client_env: dict[str, str]
) -> None:
    push_quickly(dataset, hub)
    runs = [
        training(data, model, tmp_path / out, client_env)
        for data, out in ((REPO, "hub"), (dataset, "folder"))
    ]
    for code, errors in map(ended, runs):
        assert code == 0, errors
    weights = [load_file(tmp_path / out / "model.safetensors") for out in ("hub", "folder")]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    told = [json.loads((tmp_path / out / "prm.json").read_text()) for out in ("hub", "folder")]
    remote, local = told[0]["data"], told[1]["data"]
    assert (remote.pop("data"), local.pop("data")) == (REPO, dataset.name)
    assert re.fullmatch("[0-9a-f]{40}", remote.pop("revision"))
    assert remote == local
    kept = [path for path in (tmp_path / "hf").rglob("*.parquet") if path.is_file()]
    assert kept == []


def test_a_repository_that_is_not_there_is_named(
    hub: Hub, model: str, tmp_path: Path, client_env: dict[str, str]
) -> None:
    code, errors = ended(training("org/nothing", model, tmp_path / "out", client_env))
    assert code == 2
    assert "org/nothing" in errors
    assert "Traceback" not in errors
