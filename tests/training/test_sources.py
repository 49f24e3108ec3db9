"""Rows come from published folders, files and streams, and are the same from each."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from transformers import AutoTokenizer

from factory.errors import InputError
from factory.report.show import published_rows
from factory.toy import MODEL_DIR
from factory.training.discriminative import BLANK, SCHEMA
from factory.training.examples import ExampleMaker
from factory.training.layouts import Layout
from factory.training.settings import TrainSettings
from factory.training.sources import Source, open_source
from factory.training.targets import COLUMNS
from factory.training.training_sets import (
    ExampleStream,
    LengthSampler,
    steps_for,
    training_set,
    write_examples,
)
from schemas.manifest import read_manifest
from tests.factory.builders import group, solution
from tests.factory.test_show import finished
from tests.training.builders import oracle_rows, write_rows


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def job(tmp_path: Path) -> Path:
    groups = [group(f"p{i}", solution(f"s{i}", 8, 2, i % 3), solution(f"t{i}")) for i in range(9)]
    return finished(tmp_path / "job", *groups)


def opened(data: Path | str, part: str | None = None) -> Source:
    return open_source(str(data), part=part, split="train", columns=COLUMNS)


def settings(tmp_path: Path, **given: Any) -> TrainSettings:
    given = {"data": "d", "model": "m", "out": tmp_path / "out"} | given
    return TrainSettings(**given).with_schedule(None)


def maker(given: TrainSettings) -> ExampleMaker:
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    return ExampleMaker(tokenizer=tokenizer, layout=Layout(), settings=given, max_length=512)


def test_a_jobs_folder_gives_the_rows_it_published(job: Path) -> None:
    source = opened(job)
    published = list(published_rows(job / "dataset"))
    assert list(source.rows()) == [{n: row[n] for n in COLUMNS} for row in published]
    manifest = read_manifest(job / "dataset")
    assert manifest is not None
    assert source.num_rows == len(published) == source.origin["num_rows"]
    assert source.origin["digest"] == manifest.digest
    assert not source.is_remote
    assert list(opened(job / "dataset").rows()) == list(source.rows())


def test_files_of_rows_are_read_as_they_are(tmp_path: Path) -> None:
    rows = oracle_rows(7)
    parquet = opened(write_rows(tmp_path / "rows.parquet", rows))
    jsonl = tmp_path / "more" / "rows.jsonl"
    jsonl.parent.mkdir()
    jsonl.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert list(parquet.rows()) == list(opened(jsonl.parent).rows()) == rows
    assert (parquet.num_rows, opened(jsonl).num_rows) == (7, None)


@pytest.mark.parametrize(
    ("names", "split", "read"),
    [
        (["data/train-00000-of-00001", "data/test-00000-of-00001"], "train", [0]),
        (["data/train-00000-of-00002", "data/train-00001-of-00002", "test"], "train", [0, 1]),
        (["train", "test", "dev_rows"], "test", [1]),
        (["train", "test", "dev_rows"], "validation", [2]),
        (["train/a", "valid/a"], "valid", [1]),
        (["hard-00000-of-00001", "train-00000-of-00001"], "hard", [0]),
        (["a", "latest", "trained"], "train", [0, 1, 2]),
        (["rows", ".cache/test"], "train", [0]),
    ],
)
def test_a_folder_of_files_named_by_split_is_read_by_split(
    tmp_path: Path, names: list[str], split: str, read: list[int]
) -> None:
    rows = oracle_rows(len(names))
    folder = tmp_path / "testing"
    for name, row in zip(names, rows, strict=True):
        write_rows(folder / f"{name}.parquet", [row])
    (folder / "dataset_infos.json").write_text("{}")
    source = open_source(str(folder), part=None, split=split, columns=COLUMNS)
    found = [row["prompt"] for row in source.rows()]
    assert sorted(found) == sorted(rows[i]["prompt"] for i in read)


@pytest.mark.parametrize(
    ("names", "split", "message"),
    [
        (["a.jsonl", "b.parquet"], "train", "several kinds, a.jsonl and b.parquet"),
        (["test.jsonl"], "train", "no files of the split train: there are test"),
        (["a.jsonl"], "test", "no files of the split test: there are none, so leave --split"),
        (["more.jsonl", "train.jsonl"], "train", "splits train, and more.jsonl names none"),
    ],
)
def test_files_that_would_be_left_out_without_a_word_are_refused(
    tmp_path: Path, names: list[str], split: str, message: str
) -> None:
    for name in names:
        (tmp_path / name).write_text('{"prompt": "q"}\n')
    with pytest.raises(InputError, match=message):
        open_source(str(tmp_path), part=None, split=split, columns=COLUMNS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        *[
            (place, f"no such file: {place}")
            for place in (
                "no/such/place",
                "./no-such-rows",
                "../no-such-rows",
                "/no-such-rows",
                "~/no-such-rows",
                "no-such-rows",
                "rows.jsonl",
                "a/b.json",
            )
        ],
        ("{tmp}", "holds no .parquet"),
        ("{tmp}/other.jsonl", "none of the columns prompt, completions, labels"),
    ],
)
def test_where_there_are_no_rows_it_says_what_to_do(
    tmp_path: Path, data: str, message: str
) -> None:
    place = data.format(tmp=tmp_path)
    if place.endswith("other.jsonl"):
        Path(place).write_text('{"text": 1}\n')
    with pytest.raises(InputError, match=message):
        opened(place)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("\n\n", "has no rows"),
        ('{"prompt": "q"}\n{"prom', "rows.jsonl:2: not a JSON line"),
        ('{"prompt": "q"}\n' * 200_000 + "nan,", "rows.jsonl:200001: not a JSON line"),
    ],
    ids=["empty", "blank", "cut", "cut far behind"],
)
def test_a_broken_file_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        for _ in opened(file).rows():
            pass


def test_a_cut_parquet_file_is_told(tmp_path: Path) -> None:
    file = Path(write_rows(tmp_path / "rows.parquet", oracle_rows(7)))
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"rows.parquet cannot be read"):
        opened(file)


def test_files_are_named_by_what_they_hold(tmp_path: Path) -> None:
    rows = oracle_rows(7)
    one, other = (opened(write_rows(tmp_path / n / "rows.parquet", rows)) for n in ("a", "b"))
    assert one.origin == other.origin
    rows[3]["labels"] = [not label for label in rows[3]["labels"]]
    flipped = opened(write_rows(tmp_path / "a" / "rows.parquet", rows))
    assert flipped.origin["content"] != one.origin["content"]


def test_a_part_that_is_not_there_names_those_that_are(job: Path) -> None:
    with pytest.raises(InputError, match="no part 'rationales': there are data"):
        opened(job, part="rationales")


def test_parts_and_splits_of_what_has_none_are_refused(job: Path, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.parquet", oracle_rows(2))
    with pytest.raises(InputError, match="no dataset with parts: leave --part consensus out"):
        opened(rows, part="consensus")
    for place in (job, job / "dataset"):
        with pytest.raises(InputError, match="without splits: leave --split validation out"):
            open_source(str(place), part=None, split="validation", columns=COLUMNS)


def test_a_dataset_in_arrow_files_has_one_part(job: Path) -> None:
    folder = job / "dataset"
    rows = list(opened(job).rows())
    Dataset.from_list(list(published_rows(folder))).save_to_disk(folder)
    shutil.rmtree(folder / "data")
    assert list(opened(job, part="data").rows()) == rows
    with pytest.raises(InputError, match="no part 'consensus': there is data"):
        opened(job, part="consensus")


def test_a_stream_makes_the_examples_of_the_file_in_each_pass(job: Path, tmp_path: Path) -> None:
    source, given = opened(job), settings(tmp_path)
    make = maker(given)
    file = training_set(source, make, SCHEMA, given, BLANK)
    *written, blank = [dict(example) for example in file.dataset]
    assert blank == BLANK
    stream = iter(ExampleStream(source, make, seed=0, buffer=4))
    passes = [[next(stream) for _ in written] for _ in range(2)]
    assert passes[0] != passes[1], "two passes have the same order with a chance of 1 in 10^6"
    key = json.dumps
    assert sorted(map(key, passes[0])) == sorted(map(key, passes[1])) == sorted(map(key, written))


def test_examples_are_kept_for_the_run_they_were_made_for(job: Path, tmp_path: Path) -> None:
    source, given = opened(job), settings(tmp_path)

    def forbidden(row: Any, tally: Any) -> Any:
        raise AssertionError

    first = training_set(source, maker(given), SCHEMA, given, BLANK)
    again = training_set(source, forbidden, SCHEMA, given, BLANK)
    assert list(again.dataset) == list(first.dataset)
    assert again.tally() == first.tally()
    other = replace(source, origin={**source.origin, "content": "other"})
    for rows, told in ((other, given), (source, replace(given, max_length=99))):
        with pytest.raises(AssertionError):
            training_set(rows, forbidden, SCHEMA, told, BLANK)
        training_set(source, maker(given), SCHEMA, given, BLANK)
    path = given.out / "examples.arrow"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AssertionError):
        training_set(source, forbidden, SCHEMA, given, BLANK)


def test_a_stream_counts_its_first_pass(job: Path, tmp_path: Path) -> None:
    source = opened(job)
    make = maker(settings(tmp_path))
    stream = ExampleStream(source, make, seed=0, buffer=4)
    examples = iter(stream)
    counted = write_examples(source, make, SCHEMA, tmp_path / "examples.arrow", "")
    for _ in range(3 * counted.num_examples):
        next(examples)
    assert stream.tally == counted
    assert counted.num_rows == source.num_rows


def test_nothing_to_learn_from_is_an_error_with_its_reasons(tmp_path: Path) -> None:
    rows = [{"prompt": "q", "completions": ["a"], "labels": [None]}] * 3
    rows[0] = {"prompt": "q", "completions": ["<extra_0>"], "labels": [True]}
    source = opened(write_rows(tmp_path / "rows.parquet", rows))
    make = maker(settings(tmp_path))
    with pytest.raises(InputError, match=r"3 rows: no step to learn from \(2\), the separator"):
        write_examples(source, make, SCHEMA, tmp_path / "x.arrow", "")
    assert not list(tmp_path.glob("x*"))
    with pytest.raises(InputError, match="nothing to learn from"):
        next(iter(ExampleStream(source, make, seed=0, buffer=2)))


def test_a_stream_ends_by_its_rows_or_by_max_steps(tmp_path: Path) -> None:
    source = opened(write_rows(tmp_path / "rows.parquet", oracle_rows(33)))
    assert steps_for(settings(tmp_path, batch_size=8, epochs=2), source) == 9
    assert steps_for(settings(tmp_path, max_steps=3), source) == 3
    jsonl = tmp_path / "rows.jsonl"
    jsonl.write_text(json.dumps(oracle_rows(1)[0]))
    with pytest.raises(InputError, match="--max-steps"):
        steps_for(settings(tmp_path), opened(jsonl))


def test_an_epoch_meets_every_example_once_in_random_batches_of_sorted_micro_batches() -> None:
    """The mean length of a batch of 64 strays from that of all by a standard deviation of 3.6:
    ten batches that stray by less than 15 all of them are no accident, 15 in sorted ones."""
    lengths = [(7 * i) % 101 for i in range(1_003)]
    sampler = LengthSampler(lengths, batch_size=64, together=1, seed=1)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(1_003))
    found = [lengths[i] for i in orders[0]]
    batches = [found[k : k + 64] for k in range(0, 960, 64)]
    assert all(abs(sum(batch) / 64 - 50) < 15 for batch in batches)
    micro = [found[k : k + 4] for k in range(0, 960, 4)]
    padding = sum(4 * max(batch) - sum(batch) for batch in micro) / sum(found)
    assert padding < 0.1, "in a random order it is about 0.6"


@pytest.mark.parametrize(("together", "num_blank"), [(1, 0), (4, 1), (16, 5), (1_003, 0)])
def test_a_pass_is_filled_up_with_blank_examples(together: int, num_blank: int) -> None:
    sampler = LengthSampler(range(1_003), batch_size=64, together=together, seed=1)
    order = list(sampler)
    assert len(order) == len(sampler) == 1_003 + num_blank
    assert sorted(order) == [*range(1_003), *[1_003] * num_blank]
