"""A manifest is put in place whole and read back, or refused with the reason."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.manifest import (
    MANIFEST,
    Manifest,
    ShardEntry,
    read_manifest,
    write_atomically,
    write_manifest,
)
from schemas.records import SCHEMA_VERSION

MADE = Manifest(
    digest="d",
    evidence_digest="e",
    recipe={"name": "own", "summary": "é ≥ 0.8"},
    models={"generator": None},
    grader="exact-1",
    seed=2**62,
    versions={"ray": "2"},
    problems="problems.jsonl",
    stages={"sample": {"num_ok": 3}},
    shards=(ShardEntry(path="data/0.parquet", sha256="ab", num_bytes=9, num_rows=2),),
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_manifest(tmp_path / "new" / "folder", MADE)
    assert read_manifest(tmp_path / "new" / "folder") == MADE


def test_the_next_manifest_replaces_the_last_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write_manifest(tmp_path, MADE)
    write_manifest(tmp_path, replace(MADE, seed=1))
    assert read_manifest(tmp_path) == replace(MADE, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]


def test_a_write_that_fails_leaves_the_old_text_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "text"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_without_a_manifest_has_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None
    assert read_manifest(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "5", "null", '"text"', "{}", "\x00",
     json.dumps({"schema_version": SCHEMA_VERSION}),
     json.dumps({"schema_version": SCHEMA_VERSION, "shards": [{"path": "x"}]}),
     json.dumps({"schema_version": SCHEMA_VERSION, "shards": [], "surplus": 1})],
)  # fmt: skip
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
        read_manifest(tmp_path)


def test_bytes_that_are_no_text_are_damage(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(b"\xff\xfe{}")
    with pytest.raises(ValueError, match="is damaged"):
        read_manifest(tmp_path)


def test_another_schema_version_is_refused_whatever_its_fields(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"schema_version": 99, "other": 1}))
    with pytest.raises(ValueError, match=f"schema version 99, this is {SCHEMA_VERSION}"):
        read_manifest(tmp_path)
