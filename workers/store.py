"""Groups on disk: a file is complete or absent, and named by the problems it holds.

A batch that is worked on again, because its worker died or its answer was lost, replaces its own
file. So what is stored is the one record of what is done, and nothing else has to agree with it.
"""

import os
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.ids import content_id


def write_groups(folder: Path, table: pa.Table) -> Path:
    """Stores a table of groups durably; its name is a hash of its problem ids."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{batch_id(table)}.parquet"
    temporary = folder / f".{path.name}.{uuid.uuid4().hex}"
    try:
        pq.write_table(table, temporary, compression="zstd")
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def batch_id(table: pa.Table) -> str:
    """Names a batch by its problems, whatever else is known of them."""
    return content_id(*sorted(table["problem_id"].to_pylist()))


def clear_unfinished(folder: Path) -> None:
    """Removes what writers left that were killed in the middle."""
    for temporary in folder.glob(".*.parquet.*"):
        temporary.unlink(missing_ok=True)
