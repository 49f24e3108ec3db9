"""Storage that refuses is asked again for a while, and a folder that is not there is not made."""

import asyncio
import errno
import os
from pathlib import Path

import pyarrow as pa
import pytest

from workers.store import patiently, write_groups


class Refusing:
    """Refuses a few times, as a full disk or a lost mount does, and says how often it was asked."""

    def __init__(self, number: int, times: int) -> None:
        self.number = number
        self.times = times
        self.num_asked = 0

    def __call__(self) -> int:
        self.num_asked += 1
        if self.num_asked <= self.times:
            raise OSError(self.number, os.strerror(self.number), "/runs/batch.parquet")
        return self.num_asked


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ESTALE, errno.EIO])
def test_storage_that_comes_back_gets_the_batch(number: int) -> None:
    write = Refusing(number, times=2)
    assert asyncio.run(patiently(write, (0.01, 0.01))) == 3


def test_storage_that_stays_away_is_named_in_the_end() -> None:
    write = Refusing(errno.ENOSPC, times=99)
    with pytest.raises(OSError, match="No space left") as left:
        asyncio.run(patiently(write, (0.01, 0.01)))
    assert (left.value.errno, left.value.filename) == (errno.ENOSPC, "/runs/batch.parquet")
    assert write.num_asked == 3


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_groups(tmp_path / "unmounted", pa.table({"problem_id": ["p"]}))
    assert not (tmp_path / "unmounted").exists()
