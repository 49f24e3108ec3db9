"""Training from labels to a folder that loads: it learns, resumes, and counts what it left out."""

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
    TrainerCallback,
    TrainingArguments,
)

from factory.errors import InputError
from factory.scorers import open_scorer
from factory.training.arguments import training_arguments
from factory.training.layouts import Layout
from factory.training.outcome import Trained, check_weights
from factory.training.prm_file import read_prm_file
from factory.training.processes import check_launch, check_processes
from factory.training.run_folder import check_folder, newest_checkpoint, write_run
from factory.training.settings import TrainSettings
from factory.training.sources import open_source
from factory.training.targets import COLUMNS
from factory.training.train import train
from tests.scorers.checkpoints import SOLUTIONS, save_llama_prm, save_qwen_prm
from tests.training.builders import oracle_rows, rows_with_plain_errors, write_rows
from tests.training.test_conversations import CHAIN, CHAT

CHATS = [{"conversations": CHAT}] * 24


class Interruption(TrainerCallback):
    """Ctrl-C after so many steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def base(tmp_path: Path, tiny_model: str) -> TrainSettings:
    """64 solutions in steps of 16, three times."""
    return TrainSettings(
        data=write_rows(tmp_path / "rows.parquet", oracle_rows(64)),
        model=tiny_model,
        out=tmp_path / "prm",
        learning_rate=1e-2,
        batch_size=16,
        micro_batch_size=8,
        epochs=3,
    )


def run(settings: TrainSettings, *callbacks: TrainerCallback) -> Trained:
    return train(settings, lambda line: None, callbacks)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def losses(trained: Trained) -> list[float]:
    return [entry["loss"] for entry in trained.log if "loss" in entry]


def test_the_loss_falls_and_the_folder_loads_in_one_line(base: TrainSettings) -> None:
    trained = run(replace(base, labels="hard", epochs=6))
    assert losses(trained)[-1] < 0.9 * losses(trained)[0]
    model = AutoModelForTokenClassification.from_pretrained(base.out)
    assert model.config.id2label == {0: "bad", 1: "good"}
    prm = read_prm_file(base.out)
    assert prm == trained.prm
    assert prm is not None
    tokenizer = AutoTokenizer.from_pretrained(base.out)
    encoded = prm.as_layout.encode(tokenizer, "Add 1.", ["1 + 1 = 2.", "So 3."])
    logits = model(input_ids=torch.tensor([encoded.input_ids])).logits
    assert logits[0, list(encoded.separator_positions)].shape == (2, 2)
    assert prm.data["counts"]["num_rows"] == prm.data["counts"]["num_examples"] == 64
    assert prm.data["counts"]["num_steps"] > 64
    assert {path.name for path in base.out.iterdir()}.isdisjoint({"checkpoints", "examples.arrow"})


def test_a_trained_model_tells_bad_steps_from_good_ones(
    base: TrainSettings, tmp_path: Path
) -> None:
    """On problems it has not seen. An order by chance has an area of 0.5 with a standard deviation
    below 0.04 (60 bad steps, 300 good ones): 0.8 is no accident, by less than one in 10^12."""
    rows = rows_with_plain_errors(520, seed=5)
    data = write_rows(tmp_path / "train.parquet", rows[:400])
    run(replace(base, data=data, epochs=3, micro_batch_size=16))
    scores = step_scores(base.out, rows[400:])
    good, bad = ([p for p, is_good in scores if is_good is label] for label in (True, False))
    assert min(len(good), len(bad)) >= 60
    above = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
    assert above / (len(good) * len(bad)) > 0.8


def step_scores(folder: Path, rows: list[dict[str, Any]]) -> list[tuple[float, bool]]:
    """P(good) and label of every step up to the first error."""
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prm = read_prm_file(folder)
    assert prm is not None
    assert prm.good_label is not None
    scores: list[tuple[float, bool]] = []
    for row in rows:
        encoded = prm.as_layout.encode(tokenizer, row["prompt"], row["completions"])
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([encoded.input_ids])).logits[0]
        at_steps = logits.softmax(dim=-1)[list(encoded.separator_positions), prm.good_label]
        end = [*row["labels"], False].index(False) + 1
        scores += zip(at_steps.tolist()[:end], row["labels"][:end], strict=True)
    return scores


def finished_and_interrupted(
    base: TrainSettings, folder: Path, *, streaming: bool
) -> tuple[TrainSettings, TrainSettings]:
    """One run to its end, and the same one saved at step 6 and interrupted at step 7."""
    base = replace(base, streaming=streaming, save_steps=6)
    run(base)
    again = replace(base, out=folder / "again")
    with pytest.raises(KeyboardInterrupt):
        run(again, Interruption(7))
    return base, again


@pytest.mark.parametrize("streaming", [False, True])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    base: TrainSettings, tmp_path: Path, streaming: bool
) -> None:
    """Saved in the second of three passes, and interrupted a step later."""
    base, again = finished_and_interrupted(base, tmp_path, streaming=streaming)
    with pytest.raises(InputError, match="unfinished run: add --resume"):
        run(again)
    with pytest.raises(InputError, match=r"begun with learning_rate 0.01, not 0.1"):
        run(replace(again, learning_rate=0.1, resume=True))
    trained = run(replace(again, resume=True))
    assert trained.prm.data["counts"]["num_rows"] == 64
    expected, found = weights(base.out), weights(again.out)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_run_may_be_resumed_with_less_memory(
    base: TrainSettings, tmp_path: Path, streaming: bool
) -> None:
    """In other micro-batches and with gradient checkpointing: the gradients are the same."""
    base, again = finished_and_interrupted(base, tmp_path, streaming=streaming)
    run(replace(again, resume=True, micro_batch_size=2, gradient_checkpointing=True))
    for name, expected in weights(base.out).items():
        assert torch.allclose(expected, weights(again.out)[name], atol=2e-4), name


def test_a_run_that_was_killed_while_it_made_examples_begins_again(base: TrainSettings) -> None:
    base.out.mkdir()
    for name in ("examples.arrow", "examples.tmp"):
        (base.out / name).write_bytes(b"half")
    assert run(replace(base, epochs=None, max_steps=1)).prm.data["counts"]["num_examples"] == 64


def test_a_run_that_ended_before_prm_json_can_be_resumed(base: TrainSettings) -> None:
    """A folder of that name is in the way of the file."""
    base = replace(base, save_steps=6)

    class InTheWay(TrainerCallback):
        def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            (base.out / "prm.json" / "x").mkdir(parents=True)

    with pytest.raises(OSError, match=r"prm\.json"):
        run(base, InTheWay())
    shutil.rmtree(base.out / "prm.json")
    assert (base.out / "checkpoints" / "checkpoint-12").is_dir()
    run(replace(base, resume=True))
    assert read_prm_file(base.out) is not None
    assert not (base.out / "checkpoints").exists()


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("given", [{}, {"kind": "generative"}])
def test_and_takes_no_step_more(
    base: TrainSettings, tmp_path: Path, streaming: bool, given: dict[str, Any]
) -> None:
    """Of a pass's four or three steps, with a rate that does not end at 0."""
    if given:
        given = {**given, "data": write_rows(tmp_path / "chats.parquet", CHATS), "batch_size": 8}
    base = replace(base, **given, streaming=streaming, scheduler="constant")
    base = replace(base, learning_rate=1e-3, epochs=None, max_steps=6)
    whole = run(replace(base, out=tmp_path / "whole"))

    class Dying(TrainerCallback):
        def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(base, Dying())
    steps: list[int] = []

    class Noted(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            steps.append(state.global_step)

    resumed = run(replace(base, resume=True), Noted())
    assert steps == []
    for name, expected in weights(whole.folder).items():
        assert torch.equal(expected, weights(resumed.folder)[name]), name
    assert resumed.prm.data["counts"] == whole.prm.data["counts"]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_run_is_not_resumed_on_data_that_changed(base: TrainSettings, streaming: bool) -> None:
    base = replace(base, streaming=streaming)
    with pytest.raises(KeyboardInterrupt):
        run(base, Interruption(1))
    rows = oracle_rows(64)
    rows[0]["labels"][0] = not rows[0]["labels"][0]
    write_rows(Path(base.data), rows)
    with pytest.raises(InputError, match=r"the data changed .*content was .* bring back"):
        run(replace(base, resume=True))


def test_a_moved_dataset_on_the_hub_names_the_revision_to_resume_with(tmp_path: Path) -> None:
    settings = TrainSettings(data="org/labels", model="m", out=tmp_path, resume=True)
    write_run(settings, {"data": "org/labels", "revision": "abc"})
    with pytest.raises(InputError, match="resume with --data org/labels@abc"):
        check_folder(settings, {"data": "org/labels", "revision": "def"})
    check_folder(
        replace(settings, data="org/labels@abc"), {"data": "org/labels", "revision": "abc"}
    )


def test_a_finished_model_is_not_overwritten(base: TrainSettings) -> None:
    run(replace(base, epochs=None, max_steps=1))
    with pytest.raises(InputError, match="holds a finished model"):
        run(base)


def test_adapters_train_no_other_weights_and_are_merged(
    base: TrainSettings, tiny_model: str
) -> None:
    """The separator is new to the tokenizer, so its row is trained, and no other."""
    settings = replace(base, lora_rank=2, separator="<ки>", epochs=1)
    run(settings)
    merged = weights(base.out)
    start = load_file(Path(tiny_model) / "model.safetensors")
    rows = start["model.embed_tokens.weight"].shape[0]
    embeddings = merged["model.embed_tokens.weight"]
    assert embeddings.shape[0] == rows + 1
    assert torch.equal(embeddings[:rows], start["model.embed_tokens.weight"])
    assert not torch.equal(embeddings[rows], start["model.embed_tokens.weight"].mean(dim=0))
    assert torch.equal(merged["model.norm.weight"], start["model.norm.weight"])
    query = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(merged[query], start[query])
    assert not any("lora" in name for name in merged)
    assert torch.linalg.matrix_rank((merged[query] - start[query]).double(), rtol=1e-4) <= 2
    assert (base.out / "adapter" / "adapter_model.safetensors").is_file()
    assert AutoTokenizer.from_pretrained(base.out).convert_tokens_to_ids("<ки>") == rows


@pytest.mark.parametrize("num_labels", [1, 3])
def test_a_head_of_other_than_two_classes_is_refused_before_anything_is_written(
    base: TrainSettings, tmp_path: Path, num_labels: int
) -> None:
    model = str(save_llama_prm(tmp_path / "classifier", num_labels=num_labels))
    with pytest.raises(InputError, match=f"of {num_labels} classes, and a PRM has two"):
        run(replace(base, model=model, max_length=200))
    assert not base.out.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"architectures": ["LlamaForSequenceClassification"]},
            "LlamaForSequenceClassification, which judges whole texts",
        ),
        (
            {"id2label": {"0": "Good", "1": "Bad"}},
            "class 0 is that of good steps, and here class 1",
        ),
    ],
)
def test_a_head_that_says_something_else_is_refused(
    base: TrainSettings, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    folder = save_llama_prm(tmp_path / "classifier")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(InputError, match=f"{message}.*: start from the language model behind it"):
        run(replace(base, model=str(folder), max_length=200))
    assert not base.out.exists()


def test_a_trained_prm_goes_on_in_its_own_layout(base: TrainSettings, tmp_path: Path) -> None:
    first = replace(base, layout="trl", separator=";", epochs=None, max_steps=1)
    run(first)
    said: list[str] = []
    again = replace(base, model=str(base.out), out=tmp_path / "again", epochs=None, max_steps=1)
    trained = train(again, said.append)
    assert (trained.prm.layout, trained.prm.separator, trained.prm.system) == ("trl", ";", None)
    assert "layout trl, separator ';', system text None" in said
    with pytest.raises(InputError, match="the layout trl has no system text"):
        run(replace(again, system="hello", out=tmp_path / "third"))


def test_a_resumed_run_saves_as_often_as_it_is_told_to(base: TrainSettings) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(replace(base, save_steps=4), Interruption(5))
    saved: list[int] = []

    class Noted(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            saved.append(state.global_step)

    run(replace(base, save_steps=3, resume=True), Noted())
    assert saved == [6, 9, 12], "of twelve steps, from the fourth on"


@pytest.mark.parametrize("given", [{}, {"streaming": True}, {"epochs": None, "max_steps": 12}])
def test_a_warm_up_longer_than_the_run_is_refused_and_may_be_corrected(
    base: TrainSettings, given: dict[str, Any]
) -> None:
    base = replace(base, **given)
    with pytest.raises(InputError, match=r"--warmup-steps 12 would not end within .* 12 steps"):
        run(replace(base, warmup_steps=12))
    assert len(run(replace(base, warmup_steps=11)).log) > 0


def test_a_checkpoint_is_trained_on_in_the_layout_it_has(
    base: TrainSettings, tmp_path: Path
) -> None:
    base = replace(base, layout="trl", separator=";", save_steps=4)
    with pytest.raises(KeyboardInterrupt):
        run(base, Interruption(5))
    again = replace(base, model=str(base.out / "checkpoints" / "checkpoint-4"), layout=None)
    trained = run(replace(again, separator=None, out=tmp_path / "again"))
    assert (trained.prm.layout, trained.prm.separator) == ("trl", ";")


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_a_published_prm_goes_on_with_its_own_head(
    base: TrainSettings, tmp_path: Path, lora_rank: int
) -> None:
    """So small a step leaves the scores where they were; a new head would begin at one half."""
    start = save_qwen_prm(tmp_path / "qwen")
    run(
        replace(
            base,
            model=str(start),
            data=write_rows(tmp_path / "few.parquet", oracle_rows(16)),
            learning_rate=1e-7,
            lora_rank=lora_rank,
            max_length=200,
            epochs=1,
        )
    )
    before, after = (
        open_scorer(str(folder), device="cpu", layout="extra_0").score_all(SOLUTIONS)
        for folder in (start, base.out)
    )
    for old, new in zip(before, after, strict=True):
        assert new == pytest.approx(old, abs=1e-3)
    assert weights(base.out).keys() >= {"score.0.weight", "score.2.bias"}
    assert "auto_map" not in (base.out / "config.json").read_text()


def test_the_other_processes_wait_for_the_examples_longer_than_half_an_hour(
    base: TrainSettings,
) -> None:
    arguments = TrainingArguments(**training_arguments(base.with_schedule(None), None))
    assert arguments.ddp_timeout_delta >= timedelta(hours=12)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("config.json", {"model_type": "own", "auto_map": {"AutoConfig": "code.Own"}}),
        (
            "tokenizer_config.json",
            {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["code.Own", None]}},
        ),
    ],
)
def test_the_code_of_a_checkpoint_is_not_run_and_nobody_is_asked(
    base: TrainSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    told: dict[str, Any],
) -> None:
    """Whoever is asked says yes."""
    folder = Path(shutil.copytree(base.model, tmp_path / "own"))
    (folder / file).write_text(json.dumps(told))
    (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: ...\n")
    monkeypatch.setattr("builtins.input", lambda text: "y")
    with pytest.raises(InputError, match="needs the code that comes with it, and training runs no"):
        run(replace(base, model=str(folder)))
    assert not (tmp_path / "ran").exists()


def test_what_is_not_taken_over_is_told(base: TrainSettings, tmp_path: Path) -> None:
    folder = save_qwen_prm(tmp_path / "reward")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace("ForProcessReward", "ForReward"))
    said: list[str] = []
    train(replace(base, model=str(folder), max_length=200, epochs=None, max_steps=1), said.append)
    assert "new, and drawn at random: score.bias, score.weight" in said
    assert any(f"not taken over from {folder}: score.0.bias, " in line for line in said)


def test_the_scorer_reads_a_merged_model_as_base_and_adapters(
    base: TrainSettings, tiny_model: str
) -> None:
    run(replace(base, lora_rank=2))
    start = AutoModelForTokenClassification.from_pretrained(tiny_model, num_labels=2)
    model = PeftModel.from_pretrained(start, base.out / "adapter").eval()
    tokenizer = AutoTokenizer.from_pretrained(base.out)
    scorer = open_scorer(str(base.out), device="cpu")
    for row in oracle_rows(8, seed=3):
        encoded = Layout().encode(tokenizer, row["prompt"], row["completions"])
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([encoded.input_ids])).logits[0]
        expected = logits.softmax(dim=-1)[list(encoded.separator_positions), 1].tolist()
        found = scorer.score(row["prompt"], row["completions"])
        assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("given", [{}, {"lora_rank": 2}, {"kind": "generative"}])
def test_gradient_checkpointing_changes_neither_losses_nor_weights(
    base: TrainSettings, tmp_path: Path, given: dict[str, Any]
) -> None:
    class IsOn(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            assert others["model"].is_gradient_checkpointing

    if given.get("kind") == "generative":
        given = {**given, "data": write_rows(tmp_path / "chats.parquet", CHATS)}
    base = replace(base, **given, epochs=None, max_steps=6)
    plain = run(base)
    saving = run(replace(base, out=tmp_path / "saving", gradient_checkpointing=True), IsOn())
    assert losses(saving) == pytest.approx(losses(plain), abs=1e-5)
    for name, expected in weights(base.out).items():
        assert torch.allclose(expected, weights(saving.folder)[name], atol=1e-5), name


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_the_loss_falls_in_bfloat16_too(base: TrainSettings, lora_rank: int) -> None:
    trained = run(replace(base, bf16=True, epochs=6, lora_rank=lora_rank))
    assert losses(trained)[-1] < 0.9 * losses(trained)[0]
    assert {weight.dtype for weight in weights(base.out).values()} == {torch.bfloat16}


def test_what_adapters_leave_to_train_is_held_in_float32(
    base: TrainSettings, tmp_path: Path
) -> None:
    """A step of 1e-5 moves a head of weights near 0.02, of which bfloat16 would round it away."""
    base = replace(base, bf16=True, lora_rank=2, separator="<ки>", epochs=None, max_steps=1)

    class InFloat32(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            trained = [w for w in others["model"].parameters() if w.requires_grad]
            assert {weight.dtype for weight in trained} == {torch.float32}

    heads = []
    for rate in (1e-12, 1e-5):
        settings = replace(base, learning_rate=rate, out=tmp_path / str(rate))
        run(settings, InFloat32())
        adapter = load_file(settings.out / "adapter" / "adapter_model.safetensors")
        [head] = [weight for name, weight in adapter.items() if name.endswith("score.weight")]
        heads.append(head)
    assert heads[0].dtype is torch.float32
    assert ((heads[1] - heads[0]).abs() > 5e-6).float().mean() > 0.9


def test_a_run_without_weights_keeps_its_checkpoints(base: TrainSettings) -> None:
    with pytest.raises(RuntimeError, match=r"no weights were written to .*: resume from"):
        check_weights(base.out)
    run(replace(base, epochs=None, max_steps=1))
    check_weights(base.out)
    path = base.out / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(RuntimeError, match="are broken"):
        check_weights(base.out)


@pytest.mark.parametrize("given", [{}, {"kind": "generative"}, {"lora_rank": 2}])
def test_a_run_that_diverges_stops_before_the_step_and_keeps_its_checkpoints(
    base: TrainSettings, tmp_path: Path, given: dict[str, Any]
) -> None:
    """Weights near 1e20 overflow in the second step, before which the first was saved."""
    if given.get("kind") == "generative":
        given = {**given, "data": write_rows(tmp_path / "chats.parquet", CHATS)}
    base = replace(base, **given, learning_rate=1e20, save_steps=1)
    with pytest.raises(
        InputError, match=r"the run diverged, the .* of step 2 .* lower --learn"
    ) as e:
        run(base)
    last = base.out / "checkpoints" / "checkpoint-1"
    assert last.is_dir()
    assert (f"from --model {last}" in str(e.value)) == (not base.lora_rank)
    assert not (base.out / "model.safetensors").exists()


def test_weights_that_the_last_step_made_infinite_are_not_saved(base: TrainSettings) -> None:
    with pytest.raises(InputError, match=r"the trained weights .* are not finite"):
        run(replace(base, learning_rate=1e39, epochs=None, max_steps=1))
    assert {path.name for path in base.out.iterdir()} == {
        *("checkpoints", "examples.arrow", "run.json")
    }


def test_a_launch_that_training_is_not_made_for_is_refused(
    base: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(InputError, match=r"sees 8 GPUs: .* torchrun --nproc-per-node 8 .*=0"):
        check_launch(8, has_adapters=False)
    check_launch(1, has_adapters=True)
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(InputError, match=r"8 processes by WORLD_SIZE, .* start by torchrun"):
        run(base)
    monkeypatch.setenv("LOCAL_RANK", "0")
    check_launch(8, has_adapters=True)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(InputError, match="--fsdp_version 2"):
        check_launch(8, has_adapters=False)
    monkeypatch.setenv("FSDP_VERSION", "2")
    check_launch(8, has_adapters=False)
    with pytest.raises(InputError, match="not merged under FSDP"):
        run(replace(base, lora_rank=2))
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(InputError, match="DeepSpeed is not supported"):
        check_launch(8, has_adapters=False)


@pytest.mark.parametrize(("said", "found", "gpus_each"), [(8, 1, 1), (1, 8, 1), (1, 1, 8)])
def test_processes_that_accelerate_counts_in_another_way_are_refused(
    monkeypatch: pytest.MonkeyPatch, said: int, found: int, gpus_each: int
) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(said))
    check_processes(said, 1)
    with pytest.raises(InputError, match=rf"says {said} .* finds {found} with {gpus_each} GPUs"):
        check_processes(found, gpus_each)


def test_a_run_on_the_cpu_takes_no_gpu(
    base: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 8)
    with pytest.raises(InputError, match="sees 8 GPUs"):
        run(base)
    run(replace(base, device="cpu", epochs=None, max_steps=1))


@pytest.mark.parametrize("streaming", [False, True])
def test_what_was_left_out_is_told_before_the_first_step_where_it_is_known(
    base: TrainSettings, streaming: bool
) -> None:
    said: list[str] = []
    told_at_first_step: list[bool] = []

    class First(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            told_at_first_step.append(any("64 rows read" in line for line in said))

    train(replace(base, epochs=None, max_steps=1, streaming=streaming), said.append, [First()])
    assert told_at_first_step == [not streaming]
    assert sum("rows read" in line for line in said) == 1


def test_the_other_processes_may_come_when_the_main_one_has_begun_to_write(
    base: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that streams, and has passed the check of the folder when the other makes its own."""
    with pytest.raises(KeyboardInterrupt):
        run(replace(base, streaming=True), Interruption(1))
    source = open_source(base.data, part=None, split="train", columns=COLUMNS)
    with pytest.raises(InputError, match="unfinished run"):
        check_folder(base, source.origin)
    monkeypatch.setenv("RANK", "1")
    check_folder(base, source.origin)


def test_accumulated_micro_batches_are_one_batch(base: TrainSettings, tmp_path: Path) -> None:
    """Each step of each of them weighs the same, however many steps fall to which."""
    whole = replace(base, micro_batch_size=16, epochs=None, max_steps=2, labels="hard")
    parts = replace(whole, micro_batch_size=2, out=tmp_path / "parts")
    run(whole)
    run(parts)
    for name, expected in weights(whole.out).items():
        assert torch.allclose(expected, weights(parts.out)[name], atol=2e-4), name


def test_zero_usable_rows_are_an_error_before_a_model_is_loaded(
    base: TrainSettings, tmp_path: Path
) -> None:
    rows = [row | {"labels": [None] * len(row["labels"])} for row in oracle_rows(3)]
    data = write_rows(tmp_path / "none.parquet", rows)
    with pytest.raises(InputError, match="nothing to learn from in 3 rows"):
        run(replace(base, data=data))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch_size": 12}, "no multiple of 8"),
        ({"max_length": 1_000}, "more than the 512 tokens"),
        ({"model": "no/such/model"}, "no model in no/such/model"),
        ({"report_to": "paper"}, "--report-to paper is .* there are none, all"),
    ],
)
def test_settings_that_do_not_fit_are_told(
    base: TrainSettings, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(replace(base, **given))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": "float"}, "there are hard, soft, counts"),
        ({"scheduler": "cosinus"}, "no scheduler 'cosinus': there are linear, cosine"),
        ({"labels": "counts", "loss": "mse"}, "likelihood"),
        ({"labels": "soft", "weigh_by_probability": True}, "only hard labels"),
        ({"batch_size": 0}, "--batch-size 0"),
        ({"epochs": 0}, "--epochs 0 has to be above 0"),
        ({"learning_rate": -1e-5}, "--learning-rate -1e-05 has to be above 0"),
        ({"learning_rate": float("nan")}, "--learning-rate nan has to be above 0"),
        ({"lora_rank": -1}, "--lora-rank -1 has to be at least 0"),
        ({"lora_rank": 4, "lora_alpha": 0}, "--lora-alpha 0 has to be at least 1"),
        ({"weight_decay": float("inf")}, "--weight-decay inf"),
        ({"seed": -1}, "--seed -1 has to be from 0 to"),
        ({"max_steps": 9, "epochs": 3}, "--epochs 3 does nothing beside --max-steps"),
        ({"lora_alpha": 4}, "--lora-alpha 4 does nothing without --lora-rank"),
        (
            {"soft_from": "value_means"},
            "--soft-from value_means does nothing without --labels soft",
        ),
        ({"labels": "counts", "soft_from": "mc_scores"}, "--soft-from mc_scores does nothing"),
        ({"layout": "trl", "system": "hello"}, "--system hello does nothing for --layout trl"),
        ({"kind": "generative", "labels": "soft"}, "--labels soft does nothing for --kind gen"),
        ({"kind": "generative", "layout": "trl"}, "--layout trl does nothing for --kind gen"),
        ({"kind": "generative", "undecided": "keep"}, "--undecided keep does nothing"),
    ],
)
def test_impossible_settings_are_refused_when_built(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainSettings(data="d", model="m", out=Path("o"), **given)


@pytest.mark.parametrize(
    ("rows", "form"), [(CHATS, "genprm"), ([CHAIN] * 24, "thinkprm")], ids=["genprm", "thinkprm"]
)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_generative_model_learns_to_write_its_judgements(
    base: TrainSettings, tmp_path: Path, rows: list[Any], form: str, streaming: bool
) -> None:
    data = write_rows(tmp_path / "rationales.parquet", rows)
    settings = replace(
        base, data=data, kind="generative", batch_size=8, epochs=4, streaming=streaming
    )
    trained = run(settings)
    assert losses(trained)[-1] < 0.9 * losses(trained)[0]
    prm = read_prm_file(base.out)
    assert prm is not None
    assert (prm.kind, prm.form, prm.layout) == ("generative", form, None)
    counts = prm.data["counts"]
    assert counts["num_rows"] == 24
    assert 0 < counts["num_trained_tokens"] < counts["num_tokens"]
    assert AutoModelForCausalLM.from_pretrained(base.out).config.use_cache


def test_a_resumed_generative_run_ends_with_the_same_weights(
    base: TrainSettings, tmp_path: Path
) -> None:
    data = write_rows(
        tmp_path / "rationales.parquet", CHATS[:12] + [{"conversations": CHAT[:2]}] * 12
    )
    base = replace(base, data=data, kind="generative", batch_size=8, save_steps=4, lora_rank=2)
    run(base)
    again = replace(base, out=tmp_path / "again")
    with pytest.raises(KeyboardInterrupt):
        run(again, Interruption(5))
    run(replace(again, resume=True))
    expected, found = weights(base.out), weights(again.out)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize(
    ("rows", "empty"),
    [(CHATS, {"conversations": []}), ([CHAIN] * 24, CHAIN | {"cot": None})],
    ids=["genprm", "thinkprm"],
)
def test_rows_without_a_rationale_are_counted_even_at_the_beginning(
    base: TrainSettings, tmp_path: Path, rows: list[Any], empty: dict[str, Any]
) -> None:
    data = write_rows(tmp_path / "rationales.parquet", [empty, *rows[:8], empty])
    trained = run(
        replace(base, data=data, kind="generative", batch_size=8, epochs=None, max_steps=1)
    )
    assert trained.prm.data["counts"]["dropped"] == {"no rationale": 2}
    nothing = write_rows(tmp_path / "none.parquet", [empty])
    with pytest.raises(InputError, match="generative models learn from conversations"):
        run(replace(base, data=nothing, kind="generative", out=tmp_path / "other"))


def test_a_classifier_does_not_begin_to_write(base: TrainSettings, tmp_path: Path) -> None:
    model = str(save_llama_prm(tmp_path / "classifier"))
    data = write_rows(tmp_path / "chats.parquet", CHATS)
    with pytest.raises(InputError, match=r"no language model, it lacks lm_head.weight"):
        run(replace(base, data=data, model=model, kind="generative", batch_size=8))


def test_a_chain_cannot_be_cut(base: TrainSettings, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "chains.parquet", [CHAIN])
    settings = replace(base, data=data, kind="generative", too_long="truncate-at-step")
    with pytest.raises(InputError, match="judges nothing"):
        run(settings)


def test_a_warm_up_that_a_constant_rate_has_not_is_refused(tmp_path: Path) -> None:
    message = "--warmup-steps 10 does nothing with --scheduler constant"
    with pytest.raises(InputError, match=message):
        TrainSettings(data="d", model="m", out=tmp_path, scheduler="constant", warmup_steps=10)
    by_default = TrainSettings(
        data="d", model="m", out=tmp_path, kind="generative", warmup_steps=10
    )
    with pytest.raises(InputError, match=message):
        by_default.with_schedule("thinkprm")


def test_a_checkpoint_that_was_cut_is_passed_over(tmp_path: Path) -> None:
    for number, file in ((500, "trainer_state.json"), (1000, "model.safetensors")):
        folder = tmp_path / "checkpoints" / f"checkpoint-{number}"
        folder.mkdir(parents=True)
        (folder / file).touch()
    assert newest_checkpoint(tmp_path) == str(tmp_path / "checkpoints" / "checkpoint-500")
    assert newest_checkpoint(tmp_path / "none") is None
