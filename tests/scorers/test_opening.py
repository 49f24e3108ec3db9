"""Whatever is given instead of a PRM, `open_scorer` says in a line what it is and what to do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import errors

from factory.errors import InputError
from factory.scorers import open_scorer
from factory.scorers.checkpoint import hub_trouble
from tests.scorers.checkpoints import save_llama_prm


def with_config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def with_file(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content) and None


def with_cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def with_own_code(folder: Path) -> None:
    (folder / "configuration_own.py").write_text("raise SystemExit('code was run')")
    own = {"AutoConfig": "configuration_own.C", "AutoModelForTokenClassification": "m.M"}
    with_config(model_type="own", auto_map=own)(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_own_code, "needs the code that comes with it: .* --trust-remote-code"),
        (with_cut_weights, "does not load: SafetensorError"),
        (with_file("model.safetensors", "version https://git-lfs"), "does not load: Safetensor"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no file named model.safetensors"),
        (with_config(hidden_size=32), "21 weights of other shapes than its config.json says"),
        (with_config(num_attention_heads="many"), "does not load"),
        (with_config(model_type="own"), "does not load: ValueError"),
        (with_config(architectures=[None]), "model of no named architecture"),
        (with_config(architectures="Llama"), "model of no named architecture"),
        (with_file("tokenizer.json", "{"), "the tokenizer of .* does not load"),
        (with_file("prm.json", "[]"), "prm.json is damaged"),
        (
            with_file(
                "prm.json",
                '{"kind": "discriminative", "layout": "trl", "separator": 5, "good_label": 1}',
            ),
            "prm.json is damaged: separator has to be text, not 5",
        ),
        (
            with_file(
                "prm.json",
                '{"kind": "discriminative", "layout": "no", "separator": "x", "good_label": 1}',
            ),
            "prm.json is damaged: no layout 'no'",
        ),
    ],
)
def test_a_folder_that_does_not_load_is_one_line(
    change: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    folder = save_llama_prm(tmp_path)
    change(folder)
    with pytest.raises(InputError, match=message) as told:
        open_scorer(str(folder))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("", "no model is named"),
        ("{tmp}/weights.bin", "is a file: give the folder"),
        ("{tmp}", "holds no config.json"),
        ("org/a b", "no folder here, and no Hub id either"),
    ],
)
def test_a_name_that_is_no_model_is_one_line(model: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_text("x")
    with pytest.raises(InputError, match=message):
        open_scorer(model.format(tmp=tmp_path))


def test_what_keeps_a_model_on_the_hub_is_told_with_what_to_do() -> None:
    response = httpx.Response(401, request=httpx.Request("GET", "https://hub/x"))
    assert "ask for access" in hub_trouble(errors.GatedRepoError("x", response=response))
    private = hub_trouble(errors.RepositoryNotFoundError("x", response=response))
    assert "HF_TOKEN" in private
    assert "gated" not in private
    offline = errors.LocalEntryNotFoundError("x")
    assert "cannot be reached" in hub_trouble(offline)
    no_config = errors.RemoteEntryNotFoundError("x", response=response)
    assert "holds no config.json" in hub_trouble(no_config)
    assert "failed: RuntimeError: x" in hub_trouble(RuntimeError("x"))
