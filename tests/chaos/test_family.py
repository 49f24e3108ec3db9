"""What counts as left behind: shared memory that nobody holds."""

import multiprocessing
from pathlib import Path

from tests.chaos.family import shared_memory_left


def test_a_semaphore_that_a_process_has_mapped_is_not_left() -> None:
    before = {str(file) for file in Path("/dev/shm").iterdir()}
    semaphore = multiprocessing.get_context("spawn").Semaphore()
    name = f"/dev/shm/sem.{semaphore._semlock.name.removeprefix('/')}"  # type: ignore[attr-defined]
    assert Path(name).exists()
    assert name not in shared_memory_left(before)


def test_a_file_is_left_once_nobody_holds_it(tmp_path: Path) -> None:
    before = {str(file) for file in Path("/dev/shm").iterdir()}
    file = Path(f"/dev/shm/held-by-{tmp_path.name}-{id(tmp_path)}")
    try:
        with file.open("w"):
            assert str(file) not in shared_memory_left(before)
        assert str(file) in shared_memory_left(before)
    finally:
        file.unlink()
