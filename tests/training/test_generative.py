"""Conversations under a chat template that opens thoughts: every turn is an example of its own."""

from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from factory.errors import InputError
from factory.training.conversations import COLUMNS
from factory.training.generative import with_contexts
from factory.training.settings import TrainSettings
from factory.training.sources import open_source
from factory.training.train import train
from tests.training.builders import save_tiny_model, write_rows
from tests.training.test_conversations import CHAT, THINKING

ROWS = [{"conversations": CHAT}, {"conversations": CHAT[:2]}, {"conversations": CHAT}] * 4


def thinking_model(folder: Path) -> str:
    model = save_tiny_model(folder)
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = THINKING
    tokenizer.save_pretrained(model)
    return model


def test_a_conversation_becomes_a_row_for_every_turn(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.parquet", ROWS)
    source = open_source(data, part=None, split="train", columns=COLUMNS)
    plain, thinking = (AutoTokenizer.from_pretrained(save_tiny_model(tmp_path)) for _ in range(2))
    thinking.chat_template = THINKING
    assert [len(r["conversations"]) for r in with_contexts(source, plain).rows()] == [4, 2, 4] * 4
    apart = with_contexts(source, thinking)
    found = [(len(row["conversations"]), row["learnt_from"]) for row in apart.rows()]
    assert found == [(2, 0), (4, 3), (2, 0), (2, 0), (4, 3)] * 4
    assert apart.num_rows == len(found)
    shuffled = [(len(row["conversations"]), row["learnt_from"]) for row in apart.rows(3, 100)]
    assert sorted(shuffled) == sorted(found) != shuffled


@pytest.mark.parametrize("streaming", [False, True])
def test_a_model_whose_template_opens_thoughts_is_trained_on_every_turn(
    tmp_path: Path, streaming: bool
) -> None:
    settings = TrainSettings(
        data=write_rows(tmp_path / "rows.parquet", ROWS),
        model=thinking_model(tmp_path / "model"),
        out=tmp_path / "out",
        kind="generative",
        batch_size=4,
        epochs=1,
        bf16=False,
    )
    said: list[str] = []
    trained = train(replace(settings, streaming=streaming), say=said.append)
    counts = trained.prm.data["counts"]
    assert (counts["num_rows"], counts["num_examples"]) == (12, 20)
    assert counts["num_trained_tokens"] > 0


@pytest.mark.parametrize("system", ["Judge.", None])
def test_the_system_text_of_sharegpt_conversations_is_kept(
    tmp_path: Path, tiny_model: str, system: str | None
) -> None:
    names = {"user": "human", "assistant": "gpt"}
    turns = [{"from": names[turn["role"]], "value": turn["content"]} for turn in CHAT]
    if system is not None:
        turns.insert(0, {"from": "system", "value": system})
    settings = TrainSettings(
        data=write_rows(tmp_path / "rows.parquet", [{"conversations": turns}] * 4),
        model=tiny_model,
        out=tmp_path / "out",
        kind="generative",
        batch_size=4,
        epochs=1,
        bf16=False,
    )
    assert train(settings, lambda line: None).prm.system == system


def test_a_turn_in_other_words_is_told_before_anything_is_written(
    tmp_path: Path, tiny_model: str
) -> None:
    rows = [{"conversations": [{"speaker": "gpt", "text": "Yes"}]}]
    settings = TrainSettings(
        data=write_rows(tmp_path / "rows.parquet", rows),
        model=tiny_model,
        out=tmp_path / "out",
        kind="generative",
    )
    with pytest.raises(InputError, match="the first rationale of the data: a turn of its conv"):
        train(settings, lambda line: None)
    assert not settings.out.exists()
