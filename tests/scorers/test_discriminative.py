"""Discriminative scorers: read at the separators, the same in any batch, and nothing made up."""

import json
import shutil
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from factory.errors import InputError
from factory.scorers import SolutionText, open_scorer
from factory.scorers.checkpoint import Checkpoint, open_checkpoint
from factory.scorers.opening import SAMPLING
from factory.scorers.transformers_backend import batches
from factory.training.layouts import TRL, Layout
from factory.training.prm_file import DISCRIMINATIVE, PrmFile, write_prm_file
from tests.scorers.checkpoints import (
    SOLUTIONS,
    save_language_model,
    save_llama_prm,
    save_qwen_prm,
    save_tokenizer,
)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama_prm(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_qwen_prm(tmp_path_factory.mktemp("qwen"))


def test_a_score_is_the_softmax_at_the_step_s_separator(llama: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(llama)
    network = AutoModelForTokenClassification.from_pretrained(llama).eval()
    [solution, *_] = SOLUTIONS
    encoded = Layout().encode(tokenizer, solution.problem, solution.steps)
    with torch.inference_mode():
        logits = network(torch.tensor([encoded.input_ids])).logits[0]
    expected = logits.softmax(-1)[list(encoded.separator_positions), 1].tolist()
    scores = open_scorer(str(llama)).score(solution.problem, solution.steps)
    assert scores == pytest.approx(expected, abs=1e-5)
    assert len(set(scores)) == 2


@pytest.mark.parametrize("kind", ["llama", "qwen"])
def test_scores_are_the_same_alone_and_in_a_batch(
    kind: str, request: pytest.FixtureRequest
) -> None:
    scorer = open_scorer(str(request.getfixturevalue(kind)))
    together = scorer.score_all(SOLUTIONS)
    for solution, scores in zip(SOLUTIONS, together, strict=True):
        alone = scorer.score(solution.problem, solution.steps)
        assert len(alone) == len(solution.steps)
        assert scores == pytest.approx(alone, abs=1e-5)
    assert not scorer.unscored


def test_whitespace_around_steps_is_not_scored(llama: Path) -> None:
    scorer = open_scorer(str(llama))
    assert scorer.score("What is 1 + 1?", ["1 + 1 = 2.\n\n", " So 2."]) == scorer.score(
        "What is 1 + 1?", ["1 + 1 = 2.", "So 2."]
    )


def test_qwen_s_checkpoint_loads_without_running_its_code(qwen: Path) -> None:
    from safetensors.torch import load_file
    from transformers import Qwen2Config, Qwen2Model

    weights = load_file(qwen / "model.safetensors")
    body = Qwen2Model(Qwen2Config.from_pretrained(qwen)).eval()
    body.load_state_dict(
        {k.removeprefix("model."): w for k, w in weights.items() if k.startswith("model.")}
    )
    solution = SOLUTIONS[2]
    encoded = Layout().encode(AutoTokenizer.from_pretrained(qwen), solution.problem, solution.steps)
    with torch.inference_mode():
        hidden = body(torch.tensor([encoded.input_ids])).last_hidden_state[0]
    hidden = torch.relu(hidden @ weights["score.0.weight"].T + weights["score.0.bias"])
    logits = hidden @ weights["score.2.weight"].T + weights["score.2.bias"]
    expected = logits.softmax(-1)[list(encoded.separator_positions), 1].tolist()
    scorer = open_scorer(str(qwen))
    assert scorer.score(solution.problem, solution.steps) == pytest.approx(expected, abs=1e-5)
    assert scorer.describe()["layout"] == "extra_0"


def test_without_qwen_s_separator_the_layout_is_trl_s(tmp_path: Path) -> None:
    folder = save_llama_prm(tmp_path, with_separator=False)
    scorer = open_scorer(str(folder), layout=TRL, separator="\n\n")
    assert len(scorer.score("What is 1 + 1?", ["It is 2.", "So 2."])) == 2
    assert scorer.describe()["layout"] == TRL


def test_what_is_given_replaces_that_of_prm_json_and_no_more(tmp_path: Path) -> None:
    folder = save_llama_prm(tmp_path)
    prm = PrmFile(
        kind=DISCRIMINATIVE,
        layout="extra_0",
        separator="<extra_0>",
        system="Be brief.",
        good_label=1,
    )
    write_prm_file(folder, prm)

    def read_by(**given: Any) -> tuple[str, str, str | None]:
        told = open_scorer(str(folder), **given).describe()
        return told["layout"], told["separator"], told["system"]

    own = ("extra_0", "<extra_0>", "Be brief.")
    assert read_by() == read_by(layout="extra_0") == read_by(separator="<extra_0>") == own
    assert read_by(system="Other.") == ("extra_0", "<extra_0>", "Other.")
    assert read_by(system="") == ("extra_0", "<extra_0>", None)
    assert read_by(layout="trl", separator="\n\n") == ("trl", "\n\n", None)
    with pytest.raises(InputError, match="trl has no system text"):
        read_by(layout="trl", separator="\n\n", system="Other.")


def test_prm_json_says_which_label_is_good(tmp_path: Path) -> None:
    folder = save_llama_prm(tmp_path)
    [solution, *_] = SOLUTIONS
    before = open_scorer(str(folder)).score(solution.problem, solution.steps)
    told = PrmFile(kind=DISCRIMINATIVE, layout="extra_0", separator="<extra_0>", good_label=0)
    write_prm_file(folder, told)
    after = open_scorer(str(folder)).score(solution.problem, solution.steps)
    assert len(after) == len(before)
    write_prm_file(folder, PrmFile(**{**vars_of(told), "good_label": 1}))
    one = open_scorer(str(folder)).score(solution.problem, solution.steps)
    assert after == pytest.approx([1 - p for p in one], abs=1e-6)


def vars_of(prm: PrmFile) -> dict[str, object]:
    return {"kind": prm.kind, "layout": prm.layout, "separator": prm.separator}


def test_what_cannot_be_scored_is_counted_and_nan(llama: Path) -> None:
    scorer = open_scorer(str(llama))
    long = SolutionText(problem="Count.", steps=("1 " * 300, "Done."))
    own = SolutionText(problem="Count.", steps=("1 <extra_0> 2",))
    found = scorer.score_all([long, SOLUTIONS[0], own])
    assert [len(scores) for scores in found] == [2, 2, 1]
    assert [all(map(isnan, scores)) for scores in found] == [True, False, True]
    assert scorer.unscored == {
        "longer than the model's context": 1,
        "the separator stands in a text": 1,
    }


def test_a_model_whose_numbers_are_not_finite_gives_no_score(tmp_path: Path) -> None:
    folder = save_llama_prm(tmp_path)
    network = AutoModelForTokenClassification.from_pretrained(folder)
    torch.nn.init.constant_(network.score.bias, float("nan"))
    network.save_pretrained(folder)
    scorer = open_scorer(str(folder))
    assert all(isnan(score) for scores in scorer.score_all(SOLUTIONS) for score in scores)
    assert scorer.unscored == {"the model's numbers are not finite": len(SOLUTIONS)}


def test_no_solutions_have_no_scores(llama: Path) -> None:
    assert open_scorer(str(llama)).score_all([]) == []


def test_a_solution_has_steps() -> None:
    with pytest.raises(ValueError, match="without steps"):
        SolutionText(problem="Why?", steps=())


def test_a_language_model_s_head_is_not_made_up(tmp_path: Path) -> None:
    folder = save_language_model(tmp_path)
    told = PrmFile(kind=DISCRIMINATIVE, layout="extra_0", separator="<extra_0>", good_label=1)
    write_prm_file(folder, told)
    with pytest.raises(InputError, match=r"lacks 2 weights of a PRM, score\.bias among them"):
        open_scorer(str(folder))


def test_a_qwen_prm_without_its_last_layer_is_refused(tmp_path: Path) -> None:
    folder = save_qwen_prm(tmp_path, without="score.2.weight")
    with pytest.raises(InputError, match=r"lacks 1 weights of a PRM, score\.2\.weight"):
        open_scorer(str(folder))


def test_three_classes_are_no_prm(tmp_path: Path) -> None:
    folder = save_llama_prm(tmp_path, num_labels=3)
    with pytest.raises(InputError, match="3 classes"):
        open_scorer(str(folder))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "holds no config.json"),
        ("{", "damaged"),
        ('{"architectures": ["BertModel"]}', "is a BertModel, which is no PRM"),
        ("{}", "model of no named architecture"),
        ('{"architectures": ["LlamaForCausalLM"]}', "say with --form how it judges"),
    ],
)
def test_what_is_no_prm_is_said_in_a_line(config: str | None, message: str, tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    if config is not None:
        (tmp_path / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        open_scorer(str(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "tgi"}, "no backend 'tgi'"),
        ({"form": "essay"}, "no form 'essay'"),
        ({"form": "genprm"}, "is discriminative"),
        ({"num_samples": 8}, "is discriminative"),
        ({"num_samples": 0}, "at least 1"),
        ({"sampling": SAMPLING}, "nothing is drawn"),
        ({"seed": 0}, "leave --temperature, --max-tokens, --seed"),
        ({"unsafe_sandbox": True}, "no code is run"),
        ({"engine_args": {"dtype": "float32"}}, "add --backend vllm"),
        ({"separator": "ki ki"}, "the separator 'ki ki' is"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: dict[str, object], message: str, llama: Path
) -> None:
    with pytest.raises(InputError, match=message):
        open_scorer(str(llama), **options)  # type: ignore[arg-type]


def test_a_model_on_the_hub_is_of_one_commit_which_is_told(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its newest commit changes between two looks."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / "models--org--prm"
    old, new = "a" * 40, "b" * 40
    shutil.copytree(llama, cached / "snapshots" / old)
    (cached / "snapshots" / new).mkdir()
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(old)
    (cached / ".no_exist" / old).mkdir(parents=True)
    (cached / ".no_exist" / old / "prm.json").touch()

    with pytest.raises(InputError, match="name the model as org/name@revision instead"):
        open_scorer("org/prm", backend="vllm", engine_args={"revision": new})

    def moves(*read: object) -> Checkpoint:
        found = open_checkpoint("org/prm")
        (cached / "refs" / "main").write_text(new)
        return found

    monkeypatch.setattr("factory.scorers.opening.open_checkpoint", moves)
    scorer = open_scorer("org/prm")
    assert scorer.describe()["revision"] == old
    named = open_checkpoint(f"org/prm@{old}")
    assert (named.model, named.revision) == ("org/prm", old)
    monkeypatch.undo()
    [solution, *_] = SOLUTIONS
    assert scorer.score_all([solution]) == open_scorer(str(llama)).score_all([solution])


def test_the_class_of_good_steps_is_the_one_that_is_named_so(llama: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(llama, tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    [solution, *_] = SOLUTIONS

    def scores(names: dict[str, str]) -> list[float]:
        (folder / "config.json").write_text(json.dumps({**config, "id2label": names}))
        return open_scorer(str(folder)).score(solution.problem, solution.steps)

    second = scores({"0": "LABEL_0", "1": "LABEL_1"})
    first = scores({"0": "Correct", "1": "incorrect"})
    assert first == pytest.approx([1 - score for score in second])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing does not exist"):
        open_scorer(str(tmp_path / "nothing"))


def test_batches_are_of_like_length_and_within_bounds() -> None:
    lengths = [5, 100, 7, 90, 6, 5, 400]
    found = list(batches(lengths, 200))
    assert found == [[6], [1, 3], [2, 4, 0, 5]]
    assert sorted(np.concatenate(found)) == list(range(len(lengths)))
    assert list(batches([], 10)) == []
