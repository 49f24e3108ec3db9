"""Groups in storage: a file is complete or absent, and named by the problems it holds.

A batch that is worked on again, because its worker died or its answer was lost, replaces its own
file. So what is stored is the one record of what is done, and nothing else has to agree with it.
"""

from pathlib import Path

import pyarrow as pa

from schemas.files import write_table
from schemas.ids import content_id


def write_groups(folder: Path, table: pa.Table) -> Path:
    """Stores a table of groups durably; its name is a hash of its problem ids."""
    path = folder / f"{batch_id(table)}.parquet"
    write_table(path, table)
    return path


def batch_id(table: pa.Table) -> str:
    """Names a batch by its problems, whatever else is known of them."""
    return content_id(*sorted(table["problem_id"].to_pylist()))
