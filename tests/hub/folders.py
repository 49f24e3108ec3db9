"""A dataset folder that grows as one of a running job does, with small rows of its own."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from schemas.manifest import Manifest, ShardEntry, read_manifest, write_atomically, write_manifest

SCHEMA = pa.schema({"problem_id": pa.string(), "labels": pa.list_(pa.bool_())})
HEADER = {
    "pretty_name": "Labels",
    "configs": [
        {
            "config_name": "default",
            "data_files": [{"split": "train", "path": "data/train-*.parquet"}],
        }
    ],
    "dataset_info": {
        "features": [
            {"name": "problem_id", "dtype": "string"},
            {"name": "labels", "list": "bool"},
        ]
    },
}


def empty_folder(folder: Path) -> Path:
    """A dataset folder whose manifest lists no shards yet."""
    (folder / "data").mkdir(parents=True)
    manifest = Manifest(
        digest="d" * 16,
        evidence_digest="e" * 16,
        recipe={"name": "math-shepherd"},
        models={},
        grader="math-verify",
        seed=7,
        versions={},
        problems="problems.jsonl",
    )
    write_documents(folder, manifest)
    return folder


def write_documents(folder: Path, manifest: Manifest) -> None:
    """Card and manifest, each in one step."""
    header = yaml.safe_dump(HEADER, sort_keys=False)
    text = f"---\n{header}---\n\n# {len(manifest.shards)} shards\n"
    write_atomically(folder / "README.md", text)
    write_manifest(folder, manifest)


def seal(folder: Path, num_shards: int = 1) -> None:
    """Appends shards of two rows, then lists them."""
    _append(folder, num_shards, _rows)


def seal_bytes(folder: Path, num_shards: int) -> None:
    """Appends shards of random bytes, for tests in which nobody loads them."""
    _append(folder, num_shards, lambda file, number: file.write_bytes(os.urandom(2000)))


def manifest_in(folder: Path) -> Manifest:
    manifest = read_manifest(folder)
    assert manifest is not None
    return manifest


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each listed shard."""
    return {shard.path: shard.sha256 for shard in manifest_in(folder).shards}


def _rows(file: Path, number: int) -> None:
    rows = [{"problem_id": f"p{number}-{row}", "labels": [True, False]} for row in range(2)]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), file)


def _append(folder: Path, num_shards: int, write: Callable[[Path, int], object]) -> None:
    manifest = manifest_in(folder)
    shards = list(manifest.shards)
    for number in range(len(shards), len(shards) + num_shards):
        path = f"data/train-{number:05d}.parquet"
        temporary = folder / f"data/.{number}.tmp"
        write(temporary, number)
        content = temporary.read_bytes()
        temporary.rename(folder / path)
        sha256 = hashlib.sha256(content).hexdigest()
        entry = ShardEntry(path=path, sha256=sha256, num_bytes=len(content), num_rows=2)
        shards.append(entry)
    write_documents(folder, replace(manifest, shards=tuple(shards)))
