"""A temporary folder goes with its process: by itself, or when the next one is made.

So does the shared memory of an engine that is killed with all its processes.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workers.scratch import Scratch, remove_abandoned, scratch
from workers.shared_memory import RECORD, remove_recorded

on_linux = pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs /dev/shm")


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_folder_is_there_inside_the_block(tmp_path: Path) -> None:
    with scratch("problems") as folder:
        assert folder.parent == tmp_path
        assert folder.is_dir()
    assert not folder.exists()


def test_the_folder_of_a_killed_process_goes_when_the_next_is_made(tmp_path: Path) -> None:
    code = (
        "import os, signal, tempfile\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "from workers.scratch import Scratch\n"
        "(Scratch('engine').path / 'big').write_bytes(b'x')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    mine = Scratch("engine")
    assert list(tmp_path.iterdir()) == [mine.path]


ENGINE = """
import os, signal, sys, tempfile
from multiprocessing import get_context, shared_memory
tempfile.tempdir = sys.argv[1]
from workers.scratch import Scratch
from workers.shared_memory import recording
with recording(Scratch('engine').path):
    block = shared_memory.SharedMemory(create=True, size=64)
    semaphore = get_context('spawn').Semaphore()
    if os.fork() == 0:
        signal.pause()
print(block.name, semaphore._semlock.name.strip('/'), flush=True)
sys.stdin.read()
"""


@contextmanager
def engine(tmp_path: Path) -> Iterator[list[Path]]:
    """A process with shared memory, with what it has in /dev/shm; all of it is killed after the
    block, and so is Python's tracker, which otherwise clears up."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENGINE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout
        block, semaphore = process.stdout.readline().split()
        files = [Path("/dev/shm") / block, Path("/dev/shm") / f"sem.{semaphore}"]
        assert all(file.exists() for file in files)
        yield files
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@on_linux
def test_the_shared_memory_of_a_killed_engine_goes_when_the_next_folder_is_made(
    tmp_path: Path,
) -> None:
    with engine(tmp_path) as files:
        remove_abandoned()
        assert all(file.exists() for file in files), "it runs"
    assert all(file.exists() for file in files), "nobody else clears up"
    mine = Scratch("engine")
    assert not any(file.exists() for file in files)
    assert list(tmp_path.iterdir()) == [mine.path]


@on_linux
def test_a_folder_that_is_removed_takes_the_shared_memory_of_a_killed_engine_with_it(
    tmp_path: Path,
) -> None:
    """The engine's processes were killed, and the one that hosts it goes on and removes it."""
    with engine(tmp_path) as files:
        [record] = tmp_path.glob(f"*/{RECORD}")
        mine = Scratch("engine")
        (mine.path / RECORD).write_bytes(record.read_bytes())
        mine.remove()
        assert all(file.exists() for file in files), "it runs"
        assert mine.path.exists()
    mine.remove()
    assert not any(file.exists() for file in files)
    assert not mine.path.exists()


@on_linux
def test_shared_memory_that_is_still_held_stays_until_it_is_not(tmp_path: Path) -> None:
    with engine(tmp_path) as files:
        pass
    with files[0].open("rb"):
        remove_abandoned()
        assert [file.exists() for file in files] == [True, False]
        assert len(list(tmp_path.iterdir())) == 1
    remove_abandoned()
    assert not files[0].exists()
    assert list(tmp_path.iterdir()) == []


@on_linux
def test_a_later_file_of_the_same_name_is_left_alone(tmp_path: Path) -> None:
    file = Path("/dev/shm/psm_of_a_test")
    file.touch()
    try:
        (tmp_path / RECORD).write_text(f"{file.stat().st_ino + 1} {file.name}\n")
        assert remove_recorded(tmp_path)
        assert file.exists()
    finally:
        file.unlink()


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    other = Scratch("engine")
    (tmp_path / "prm-factory-just-made").mkdir()
    (tmp_path / "of-somebody-else").mkdir()
    remove_abandoned()
    assert other.path.is_dir()
    assert len(list(tmp_path.iterdir())) == 3
