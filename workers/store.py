"""Groups in storage: a file is complete or absent, and named by the problems it holds.

A batch that is worked on again, because its worker died or its answer was lost, replaces its own
file. So what is stored is the one record of what is done, and nothing else has to agree with it.
"""

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from schemas.files import is_local, write_table
from schemas.ids import content_id

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Between two attempts, before the job ends: the rollouts of a batch are dear, and network file
systems come back."""
T = TypeVar("T")

log = logging.getLogger(__name__)


def write_groups(folder: Path, table: pa.Table) -> Path:
    """Stores a table of groups durably, in a folder that is there; its name is a hash of its
    problem ids."""
    path = folder / f"{batch_id(table)}.parquet"
    check_there(folder)
    write_table(path, table)
    return path


def check_there(folder: Path) -> None:
    """Raises FileNotFoundError where a folder that the job has made cannot be seen from here.

    Without it a node that lacks the job's storage would make the folder anew on its own disk: one
    that joined when `factory.nodes` had looked, or one that lost the storage since.
    """
    if is_local(folder) and not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))


async def patiently(call: Callable[[], T], pauses_s: Sequence[float] = PAUSES_S) -> T:
    """What `call` returns, in a thread, tried until it succeeds; raises what it raised after the
    last pause."""
    for pause_s in pauses_s:
        try:
            return await asyncio.to_thread(call)
        except OSError as error:
            log.warning("storage refuses, trying again in %g s: %s", pause_s, error)
        await asyncio.sleep(pause_s)
    return await asyncio.to_thread(call)


def batch_id(table: pa.Table) -> str:
    """Names a batch by its problems, whatever else is known of them."""
    return content_id(*sorted(table["problem_id"].to_pylist()))
