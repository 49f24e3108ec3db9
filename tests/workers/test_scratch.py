"""A temporary folder goes with its process: by itself, or when the next one is made."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from workers.scratch import Scratch, remove_abandoned, scratch


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


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    other = Scratch("engine")
    (tmp_path / "prm-factory-just-made").mkdir()
    (tmp_path / "of-somebody-else").mkdir()
    remove_abandoned()
    assert other.path.is_dir()
    assert len(list(tmp_path.iterdir())) == 3
