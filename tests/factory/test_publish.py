"""Published datasets: what the files are, and that `datasets` loads them."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from factory.core.labelers import HardEstimation, RelativeProgress
from factory.job import OutputSection
from factory.publish import publish
from factory.recipes import load_recipe
from factory.relabel import relabel
from factory.shards import published_schema
from schemas.files import place
from schemas.manifest import Manifest, read_manifest
from schemas.records import ProblemGroup, Status, Verdict
from tests.factory.builders import (
    evidence,
    group,
    job_folder,
    manifest_of,
    solution,
    store,
    unlabelled,
)
from workers.scratch import LOCK, PREFIX

MANIFEST = manifest_of(load_recipe("math-shepherd"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def published(
    folder: Path, *groups: ProblemGroup, labeler: Any = None, **output: Any
) -> tuple[Path, Manifest]:
    manifest = publish(
        evidence=[(0, sorted(groups, key=lambda g: g.problem_id))],
        folder=folder / "dataset",
        manifest=MANIFEST,
        labeler=labeler or HardEstimation(),
        output=OutputSection(**output),
    )
    return folder / "dataset", manifest


def loaded(dataset: Path, *, streaming: bool = False) -> Any:
    from datasets import load_dataset

    return load_dataset(str(dataset), split="train", streaming=streaming)


@pytest.mark.usefixtures("no_sleep_after_streams")
@pytest.mark.parametrize("streaming", [False, True])
def test_a_dataset_loads_with_one_line(tmp_path: Path, streaming: bool) -> None:
    from datasets import Features

    dataset, _ = published(tmp_path, group("b"), group("a", solution("s", 8, 8), solution("t", 0)))
    rows = loaded(dataset, streaming=streaming)
    assert rows.features == Features.from_arrow_schema(published_schema())
    assert [(r["problem_id"], r["solution_id"]) for r in rows] == [
        ("a", "s"), ("a", "t"), ("b", "s-b"),
    ]  # fmt: skip


def test_rows_are_what_a_stepwise_trainer_takes(tmp_path: Path) -> None:
    """TRL: a text, texts, and truth values, the last two zipped strictly."""
    dataset, _ = published(tmp_path, group("a", solution("s", 8, 4, 0), solution("t", 0)))
    for row in loaded(dataset):
        assert isinstance(row["prompt"], str)
        assert all(isinstance(step, str) and step == step.strip() for step in row["completions"])
        assert all(isinstance(label, bool) for label in row["labels"])
        assert len(row["completions"]) == len(row["labels"]) > 0
        assert len(row["mc_scores"]) == len(row["num_rollouts"]) == len(row["step_labels"])
    assert row["step_labels"] == row["labels"] == [False, True]


def test_a_solution_ends_for_the_trainer_where_the_evidence_ends(tmp_path: Path) -> None:
    whole = solution("s", 8, 8, verdict=Verdict.TIMEOUT)
    dataset, manifest = published(tmp_path, group("a", whole))
    [row] = loaded(dataset)
    assert (len(row["completions"]), len(row["labels"])) == (2, 2)
    assert row["unlabelled_steps"] == ["The answer is: \\boxed{72}"]
    assert row["step_labels"] == [True, True, None]
    assert manifest.summary["num_undecided"] == 1


def test_a_solution_without_a_first_label_is_dropped_and_counted(tmp_path: Path) -> None:
    no_root = replace(group("a", solution("s", 8)), sampled=evidence(0))
    dataset, manifest = published(tmp_path, no_root, labeler=RelativeProgress())
    assert manifest.summary["dropped"] == {"solutions: no evidence at its first step": 1}
    assert pq.read_table(dataset / "data").num_rows == 0


def test_a_slice_becomes_a_shard_compressed_and_indexed(tmp_path: Path) -> None:
    slices = [[group(f"p{n:04d}") for n in range(start, start + 20)] for start in (0, 20, 40)]
    manifest = publish(
        evidence=list(enumerate(slices)),
        folder=tmp_path / "dataset",
        manifest=MANIFEST,
        labeler=HardEstimation(),
        output=OutputSection(rows_per_row_group=8),
    )
    dataset = tmp_path / "dataset"
    files = sorted((dataset / "data").iterdir())
    assert [f.name for f in files] == [f"train-{n:05d}.parquet" for n in range(3)]
    first = pq.ParquetFile(files[0]).metadata
    assert [first.row_group(i).num_rows for i in range(first.num_row_groups)] == [8, 8, 4]
    column = first.row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert column.has_offset_index
    assert b"huggingface" in pq.read_schema(files[0]).metadata
    for file, entry in zip(files, manifest.shards, strict=True):
        content = file.read_bytes()
        assert entry.path == f"data/{file.name}"
        assert entry.sha256 == hashlib.sha256(content).hexdigest()
        assert entry.num_bytes == len(content)
        assert entry.num_rows == pq.read_metadata(file).num_rows
    ids = [row["problem_id"] for row in loaded(dataset)]
    assert ids == [g.problem_id for groups in slices for g in groups]


def test_a_slice_without_rows_has_no_shard(tmp_path: Path) -> None:
    manifest = publish(
        evidence=[(0, [unlabelled("a")]), (1, [group("b")])],
        folder=tmp_path / "dataset",
        manifest=MANIFEST,
        labeler=HardEstimation(),
        output=OutputSection(),
    )
    assert [shard.path for shard in manifest.shards] == ["data/train-00001.parquet"]
    assert [row["problem_id"] for row in loaded(tmp_path / "dataset")] == ["b"]


def test_row_groups_have_thousands_of_rows_by_default() -> None:
    assert 2_000 <= OutputSection().rows_per_row_group <= 5_000


def test_publishing_again_gives_the_same_bytes_in_whatever_order_groups_were_done(
    tmp_path: Path,
) -> None:
    groups = [group(f"p{n}") for n in range(5)]
    folders = [job_folder(tmp_path / "a", *groups), job_folder(tmp_path / "b", *groups)]
    store(folders[1] / "stages" / "estimate" / "pass-0000" / "a.parquet", reversed(groups))
    first, again, reversed_ = (
        relabel(source, "math-shepherd", tmp_path / out)
        for source, out in ((folders[0], "x"), (folders[0], "y"), (folders[1], "z"))
    )
    assert first == again == reversed_


@pytest.mark.usefixtures("no_sleep_after_streams")
def test_a_job_without_a_single_row_publishes_an_empty_dataset_that_streams(
    tmp_path: Path,
) -> None:
    """Without streaming `datasets` refuses every split without rows; the card says so."""
    dropped, failed = unlabelled("a"), unlabelled("b", Status.FAILED, "[/bold] died\nhere")
    dataset, manifest = published(tmp_path, dropped, failed)
    rows = loaded(dataset, streaming=True)
    assert list(rows) == []
    assert set(rows.features) == set(published_schema().names)
    assert [s.num_rows for s in manifest.shards] == [0]
    card = (dataset / "README.md").read_text()
    assert "every problem was dropped or failed" in card
    assert "- 1 problems dropped: no luck" in card
    assert "- 1 problems failed: [/bold] died here" in card


@pytest.mark.parametrize("groups", [(group("b"), group("a")), (unlabelled("a"),)])
def test_arrow_output_loads_from_disk_with_the_same_features(
    tmp_path: Path, groups: tuple[ProblemGroup, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    from datasets import Features, load_from_disk

    dataset, manifest = published(tmp_path, *groups, format="arrow")
    rows = load_from_disk(str(dataset))
    assert rows.features == Features.from_arrow_schema(published_schema())
    assert len(rows) == manifest.summary["num_solutions"]
    assert not manifest.shards
    assert not (dataset / "data").exists()
    assert "load_from_disk" in (dataset / "README.md").read_text()
    assert capfd.readouterr().err == ""


def test_the_card_says_how_to_load_and_how_it_was_made(tmp_path: Path) -> None:
    dataset, manifest = published(tmp_path, group("a"), group("b"), unlabelled("c"))
    _, header, body = (dataset / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    fields = yaml.safe_load(header)
    assert [fields["configs"][0].pop("version")[:4]] == ["0.0."]
    assert fields["configs"] == [
        {
            "config_name": "default",
            "data_files": [{"split": "train", "path": "data/train-*.parquet"}],
        }
    ]
    names = [feature["name"] for feature in fields["dataset_info"][0]["features"]]
    assert names == published_schema().names
    for part in (
        "2 solutions of 2 problems, 8 steps: 75.0 % good, 25.0 % bad",
        "Recipe `math-shepherd`: hard labels",
        manifest.digest,
        manifest.evidence_digest,
        '"temperature": 0.7',
        "| problems | `problems.jsonl` |",
        "| generator | `tiny`, its files' fingerprint `ffffffffffffffff` |",
        "1 problems dropped: no luck",
        "prm-factory 0.1.0",
    ):
        assert part in body


def test_the_manifest_is_beside_the_rows_and_nothing_else_is(tmp_path: Path) -> None:
    dataset, manifest = published(tmp_path, group("a"))
    assert read_manifest(dataset) == manifest
    assert {f.name for f in dataset.iterdir()} == {"README.md", "data", "manifest.json"}
    assert {f.name for f in tmp_path.iterdir()} - {"cache"} == {"dataset"}


def test_a_publication_that_breaks_leaves_the_old_dataset_and_nothing_else(tmp_path: Path) -> None:
    dataset, before = published(tmp_path, group("a"))

    def broken(chain: Any) -> Any:
        raise RuntimeError("a bug in a labeler")

    with pytest.raises(RuntimeError):
        published(tmp_path, group("a"), labeler=broken)
    assert read_manifest(dataset) == before
    assert len(loaded(dataset)) == 1
    assert not list(tmp_path.glob(".*"))


def test_a_dataset_for_a_bucket_is_made_in_a_folder_that_goes_with_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    held: list[Path] = []

    def groups() -> Iterator[ProblemGroup]:
        held.extend(tmp_path.glob(f"{PREFIX}publish-*/{LOCK}"))
        yield group("a")

    publish(
        evidence=[(0, groups())],
        folder=place("memory://dataset"),
        manifest=MANIFEST,
        labeler=HardEstimation(),
        output=OutputSection(),
    )
    assert len(held) == 1
    assert not any(tmp_path.glob(f"{PREFIX}*"))


def test_a_dataset_can_be_moved(tmp_path: Path) -> None:
    dataset, _ = published(tmp_path, group("a"))
    assert len(loaded(Path(shutil.move(dataset, tmp_path / "moved")))) == 1


def test_the_schema_of_a_shard_is_frozen() -> None:
    """A changed column breaks who loads old and new shards together: raise SCHEMA_VERSION."""
    schema = published_schema()
    assert schema.field("completions").type == pa.list_(pa.string())
    assert schema.field("labels").type == pa.list_(pa.bool_())
    described = "\n".join(f"{f.name} {f.type}" for f in schema)
    assert hashlib.sha256(described.encode()).hexdigest()[:16] == "19a36201a1bc9cbf"
