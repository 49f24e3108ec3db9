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


def train(
    data: object, model: str, out: Path, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "factory.cli", "train", "--data", str(data), "--streaming"]
    command += ["--model", model, "--out", str(out), "--batch-size", "4", "--epochs", "2"]
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240, check=False
    )


def test_training_from_the_hub_is_training_from_the_folder(
    hub: Hub, dataset: Path, model: str, tmp_path: Path, client_env: dict[str, str]
) -> None:
    push_quickly(dataset, hub)
    for data, out in ((REPO, "hub"), (dataset, "folder")):
        done = train(data, model, tmp_path / out, client_env)
        assert done.returncode == 0, done.stderr
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
    done = train("org/nothing", model, tmp_path / "out", client_env)
    assert done.returncode == 2
    assert "org/nothing" in done.stderr
    assert "Traceback" not in done.stderr
