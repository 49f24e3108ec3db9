"""A run is held to the model it began with, wherever that is."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForTokenClassification

from factory.errors import InputError
from factory.scorers.checkpoint import open_checkpoint
from factory.training.base_model import at_commit
from factory.training.discriminative import separated
from factory.training.layouts import Layout
from factory.training.settings import TrainSettings
from factory.training.train import train
from tests.training.builders import oracle_rows, write_rows
from tests.training.test_train import Interruption

OLD, NEW = "a" * 40, "b" * 40
ROW = "model.embed_tokens.weight"


def change(folder: Path) -> None:
    """Other weights of the same model."""
    path = folder / "model.safetensors"
    save_file({n: 2 * w for n, w in load_file(path).items()}, path, metadata={"format": "pt"})


def point(hub: Path, commit: str) -> None:
    """Makes a commit the newest."""
    (hub / "refs").mkdir(parents=True, exist_ok=True)
    (hub / "refs" / "main").write_text(commit)


@pytest.fixture
def hub(tmp_path: Path, tiny_model: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of a Hub that is not reached, with two commits of org/base."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    cached = tmp_path / "hub" / "models--org--base"
    for commit in (OLD, NEW):
        shutil.copytree(tiny_model, cached / "snapshots" / commit)
    change(cached / "snapshots" / NEW)
    point(cached, OLD)
    return cached


def settings(tmp_path: Path, model: str) -> TrainSettings:
    data = write_rows(tmp_path / "rows.parquet", oracle_rows(16))
    given = {"learning_rate": 1e-7, "batch_size": 8, "max_length": 200}
    return TrainSettings(data=data, model=model, out=tmp_path / "prm", **given)


def begin(told: TrainSettings) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(told, lambda line: None, [Interruption(1)])


def test_a_model_that_moved_on_the_hub_is_resumed_at_its_commit(tmp_path: Path, hub: Path) -> None:
    told = settings(tmp_path, "org/base")
    begin(told)
    point(hub, NEW)
    told = replace(told, resume=True)
    with pytest.raises(InputError, match=f"model org/base changed .* with --model org/base@{OLD}"):
        train(told, lambda line: None)
    trained = train(replace(told, model=f"org/base@{OLD}"), lambda line: None)
    kept = (trained.prm.settings["model"], trained.prm.settings["model_revision"])
    assert kept == ("org/base", OLD)


def test_the_weights_are_those_of_the_commit(tmp_path: Path, hub: Path) -> None:
    point(hub, NEW)
    told = replace(settings(tmp_path, f"org/base@{OLD}"), max_steps=1)
    trained = AutoModelForTokenClassification.from_pretrained(train(told, lambda _: None).folder)
    was = load_file(hub / "snapshots" / OLD / "model.safetensors")[ROW]
    assert torch.allclose(trained.get_input_embeddings().weight, was, atol=1e-5)


def test_whether_a_prm_is_read_in_another_way_has_to_be_known(tmp_path: Path, hub: Path) -> None:
    """A language model may be trained on without; it has no way of its own."""
    told = settings(tmp_path, "org/base")
    assert separated(at_commit(told)).layout == Layout()
    path = hub / "snapshots" / OLD / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"architectures": ["LlamaForTokenClassification"]}))
    with pytest.raises(InputError, match=r"whether org/base has a prm\.json"):
        separated(at_commit(told))
    with pytest.raises(InputError, match="by 'hf download org/base'"):
        open_checkpoint("org/base")
    (hub / ".no_exist" / OLD).mkdir(parents=True)
    (hub / ".no_exist" / OLD / "prm.json").touch()
    assert separated(at_commit(told)).layout == Layout()
    assert open_checkpoint(f"org/base@{OLD}").prm is None


def test_a_folder_whose_weights_changed_is_not_gone_on_from(
    tmp_path: Path, tiny_model: str
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    told = settings(tmp_path, str(model))
    begin(told)
    (model / "notes.txt").write_text("no part of the model")
    begin(replace(told, resume=True))
    change(model)
    with pytest.raises(InputError, match=r"model .* changed since .*: bring back what it was"):
        train(replace(told, resume=True), lambda line: None)
