"""Files of rows on this machine: found, read a row at a time, and named by their content."""

import hashlib
import json
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


def row_files(path: Path) -> tuple[Path, ...]:
    """The file, or a folder's files of rows, of the kind of its first; files without a byte hold
    no rows.

    Raises InputError where there is none.
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    files = [file for file in files if file.suffix in LOADERS and file.name != MANIFEST]
    if not files:
        raise InputError(f"{path} holds no {', '.join(LOADERS)} file")
    files = [f for f in files if f.suffix == files[0].suffix and f.stat().st_size]
    if not files:
        raise InputError(f"nothing to learn from: {path} is empty")
    return tuple(files)


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
