"""Files of rows on this machine: found, read a row at a time, and named by their content."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from factory.errors import InputError, shortened
from schemas.files import sha256_of
from schemas.manifest import MANIFEST

if TYPE_CHECKING:
    from datasets import IterableDataset

LOADERS = {".parquet": "parquet", ".jsonl": "json", ".json": "json"}
DIGEST_DIGITS = 16
NOT_ROWS = frozenset(
    {MANIFEST, "config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
)
DEFAULT_SPLIT = "train"
SPLITS = {
    **dict.fromkeys(("train", "training"), DEFAULT_SPLIT),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""The words by which `datasets` knows a split."""
SHARD = re.compile(r"(?P<split>\w+(\.\w+)*)-\d{5}-of-\d{5}")
NO_WORD = re.compile(r"[-._ 0-9]+")


def row_files(path: Path, split: str | None = None) -> tuple[Path, ...]:
    """The file, or a folder's files of rows; files without a byte hold no rows.

    Where files or their folders are named by split, as `datasets` reads such names, those of
    `split` are taken; `None` takes all. Raises InputError where there is none, for files of
    several kinds, and for those that name no split beside others that do.
    """
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.suffix in LOADERS and f.name not in NOT_ROWS)
        files = [f for f in files if not any(p[0] == "." for p in f.relative_to(path).parts)]
    else:
        files = [path] if path.suffix in LOADERS else []
    if not files:
        raise InputError(f"{path} holds no {', '.join(LOADERS)} file")
    for file in files:
        if LOADERS[file.suffix] != LOADERS[files[0].suffix]:
            raise InputError(
                f"{path} holds files of several kinds, {files[0].name} and {file.name}: name one "
                "of them, or leave one kind in the folder"
            )
    if split is not None:
        files = _of_split(files, path, split)
    if not (files := [file for file in files if file.stat().st_size]):
        raise InputError(f"nothing to learn from: {path} is empty")
    return tuple(files)


def _of_split(files: Sequence[Path], path: Path, split: str) -> list[Path]:
    splits = {file: _split_of(file.relative_to(path)) if path.is_dir() else None for file in files}
    there = sorted({name for name in splits.values() if name is not None})
    wanted = SPLITS.get(split, split)
    if not there and wanted == DEFAULT_SPLIT:
        return list(files)
    if wanted not in there:
        names = ", ".join(there) or "none, so leave --split out"
        raise InputError(f"{path} has no files of the split {split}: there are {names}")
    if unnamed := [file.name for file, name in splits.items() if name is None]:
        raise InputError(
            f"{path} has files of the splits {', '.join(there)}, and {unnamed[0]} names none: "
            "take it out, or name the file that is to be read"
        )
    return [file for file, name in splits.items() if name == wanted]


def _split_of(place: Path) -> str | None:
    """The split that a folder or the file is named by."""
    if sharded := SHARD.fullmatch(place.stem):
        return SPLITS.get(sharded["split"], sharded["split"])
    words = (word for part in (*place.parts[:-1], place.stem) for word in NO_WORD.split(part))
    return next((SPLITS[word] for word in words if word in SPLITS), None)


def stream_files(files: Sequence[Path]) -> "IterableDataset":
    """Their rows, one after the other."""
    from datasets import load_dataset

    try:
        return load_dataset(
            LOADERS[files[0].suffix],
            data_files=[str(file) for file in files],
            split="train",
            streaming=True,
        )
    except (ValueError, OSError) as error:
        raise unreadable(files, error) from error


def count_rows(files: Sequence[Path]) -> int | None:
    """`None` where counting would be reading."""
    import pyarrow.parquet as pq

    if files[0].suffix != ".parquet":
        return None
    try:
        return sum(pq.ParquetFile(file).metadata.num_rows for file in files)
    except (ValueError, OSError) as error:
        raise unreadable(files, error) from error


def content_digest(files: Sequence[Path]) -> str:
    """Names what the files hold and their order, whatever folder they lie in; reads every byte."""
    hashes = []
    for file in files:
        with file.open("rb") as stream:
            hashes.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return sha256_of("".join(hashes).encode())[:DIGEST_DIGITS]


def unreadable(files: Sequence[Path], error: Exception) -> InputError:
    """Where the files are broken, found by reading them again; `error` is how that was noticed."""
    for file in files:
        if file.suffix == ".jsonl" and (found := _broken_line(file)):
            return InputError(f"{found}: mend the line or remove it")
    names = ", ".join(file.name for file in files[:3])
    return InputError(f"{shortened(names)} cannot be read: {shortened(error)}")


def _broken_line(file: Path) -> str | None:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                if line.strip():
                    json.loads(line)
            except ValueError as error:
                return f"{file}:{number}: not a JSON line: {shortened(error)}"
    return None
