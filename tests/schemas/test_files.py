"""Files are complete or absent, on this machine and in a bucket."""

import os
import resource
from pathlib import Path

import pyarrow as pa
import pytest

from schemas.files import (
    absolute,
    clear_unfinished,
    is_local,
    listed,
    place,
    read_bytes,
    read_table,
    remove,
    write_atomically,
    write_table,
)

TABLE = pa.table({"problem_id": ["a", "b"], "n": [1, 2]})


@pytest.fixture(params=["local", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "local":
        return tmp_path / "run"
    return place(f"{request.getfixturevalue('bucket')}/run")


def test_what_is_written_is_read_replaced_listed_and_removed(folder: Path) -> None:
    file = folder / "deep" / "slice-1.json"
    write_atomically(file, "häppily")
    write_atomically(file, b"again")
    assert read_bytes(file) == b"again"
    write_atomically(folder / "deep" / "slice-0.json", "")
    write_atomically(folder / "deep" / "other.txt", "")
    assert [f.name for f in listed(folder / "deep", "slice-*")] == ["slice-0.json", "slice-1.json"]
    assert [f.name for f in listed(folder, "*")] == ["deep"]
    remove(file)
    remove(file)
    assert not file.exists()
    with pytest.raises(FileNotFoundError):
        read_bytes(file)


def test_a_listing_sees_what_others_have_written_since(folder: Path) -> None:
    assert listed(folder, "*") == []
    for name in "ab":
        write_atomically(folder / name, "")
        assert listed(place(str(folder)), "*")[-1].name == name


def test_tables_come_back_whole_or_by_column(folder: Path) -> None:
    file = folder / "t.parquet"
    write_table(file, TABLE, row_group_size=1)
    assert read_table(file).equals(TABLE)
    assert read_table(file, columns=["n"]).to_pydict() == {"n": [1, 2]}
    wider = pa.schema([*TABLE.schema, pa.field("new", pa.string())])
    assert read_table(file, schema=wider)["new"].to_pylist() == [None, None]
    write_table(file, TABLE.slice(0, 0))
    assert read_table(file).num_rows == 0


def test_what_is_no_regular_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for there in (pipe, folder):
        with pytest.raises(PermissionError, match="Is no regular file") as refused:
            write_atomically(there, "new")
        assert refused.value.filename == str(there)
    assert pipe.is_fifo()
    assert {p.name for p in tmp_path.iterdir()} == {"pipe", "folder"}


@pytest.mark.parametrize("old", ["old", None])
def test_through_a_link_its_file_is_written(tmp_path: Path, old: str | None) -> None:
    file, link = tmp_path / "deep" / "file", tmp_path / "link"
    link.symlink_to(file)
    if old is not None:
        write_atomically(file, old)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"


def test_what_a_killed_writer_left_is_never_listed_and_goes(tmp_path: Path) -> None:
    (tmp_path / ".a.parquet.0123.tmp").write_bytes(b"PAR1 cut here")
    assert listed(tmp_path, "*") == []
    clear_unfinished(tmp_path)
    assert not any(tmp_path.iterdir())


def test_places_are_paths_or_urls(bucket: str, tmp_path: Path) -> None:
    assert place("runs/math") == Path("runs/math")
    assert place(f"file://{tmp_path}") == tmp_path
    url = place(f"{bucket}/run")
    assert not is_local(url)
    assert str(absolute(url)) == f"{bucket}/run"
    with pytest.raises(ValueError, match="nosuch"):
        place("nosuch://bucket/run")


def test_a_file_there_is_no_room_for_is_named(tmp_path: Path) -> None:
    """The kernel's limit of a file's size is met in `write`, as a full disk is."""
    write_atomically(tmp_path / "file", "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as raised:
            write_atomically(tmp_path / "file", bytes(2_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.filename == str(tmp_path / "file")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"
