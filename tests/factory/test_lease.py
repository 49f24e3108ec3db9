"""One run at a time in a folder, and none waits for a run that is gone."""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from factory.ending import Ending
from factory.errors import FolderLost, InputError
from factory.lease import LEASE, Holder, Lease, Patience, read_holder
from schemas.files import place, write_atomically

QUICK = Patience(refresh_s=0.1, stale_s=0.6, settle_s=0.01)
ELSEWHERE = Holder(
    host="node-7", machine="other", pid=1, started="1", token="theirs", refreshed=0.0
)


def lease(folder: Path, **given: object) -> Lease:
    return Lease(folder, Ending(), patience=QUICK, **given)  # type: ignore[arg-type]


def put(folder: Path, holder: Holder) -> None:
    write_atomically(folder / LEASE, json.dumps(asdict(holder)))


def test_a_second_run_is_refused_with_the_first_ones_process_and_host(tmp_path: Path) -> None:
    with lease(tmp_path):
        mine = read_holder(tmp_path / LEASE)
        assert mine is not None
        with pytest.raises(InputError, match=f"in use by process {mine.pid} on {mine.host}"):
            lease(tmp_path).__enter__()
    assert not (tmp_path / LEASE).exists()
    with lease(tmp_path):
        pass


def test_a_run_that_died_here_is_followed_at_once(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib, factory.lease, factory.ending\n"
        "factory.lease.Lease(pathlib.Path(sys.argv[1]), factory.ending.Ending()).__enter__()\n"
        "os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=60).returncode == 9
    left = read_holder(tmp_path / LEASE)
    with lease(tmp_path):
        found = read_holder(tmp_path / LEASE)
        assert found is not None
        assert left is not None
        assert found.token != left.token


def test_another_process_with_the_same_id_is_not_the_one_that_died(tmp_path: Path) -> None:
    with lease(tmp_path):
        mine = read_holder(tmp_path / LEASE)
    assert mine is not None
    put(tmp_path, replace(mine, started="0"))
    with lease(tmp_path):
        pass


def test_a_silent_lease_of_another_host_is_waited_for_and_taken(tmp_path: Path) -> None:
    put(tmp_path, ELSEWHERE)
    said: list[str] = []
    started_s = time.monotonic()
    with lease(tmp_path, say=said.append):
        assert time.monotonic() - started_s > 2 * QUICK.refresh_s
    [line] = said
    assert "was in use by process 1 on node-7: waiting" in line


def test_a_lease_that_another_host_refreshes_is_refused(tmp_path: Path) -> None:
    put(tmp_path, ELSEWHERE)
    refresh = threading.Timer(0.1, lambda: put(tmp_path, replace(ELSEWHERE, refreshed=1.0)))
    refresh.start()
    with pytest.raises(InputError, match="in use by process 1 on node-7: wait"):
        lease(tmp_path).__enter__()
    refresh.join()


@pytest.mark.parametrize("where", ["local", "s3"])
def test_a_run_whose_lease_is_taken_ends_and_leaves_the_new_one(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path if where == "local" else place(f"{request.getfixturevalue('bucket')}/run")
    ending = Ending()

    def run() -> None:
        with ending.watched(), Lease(folder, ending, patience=QUICK):
            put(folder, ELSEWHERE)
            time.sleep(20)

    with pytest.raises(FolderLost, match="was taken over by process 1 on node-7"):
        run()
    assert read_holder(folder / LEASE) == ELSEWHERE


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A link to a folder on another file system: what it names changes as with a mount."""
    mounted, seen_as = Path("/dev/shm"), tmp_path / "mount"
    if not mounted.is_dir() or mounted.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    with tempfile.TemporaryDirectory(dir=mounted) as folder:
        seen_as.symlink_to(folder)
        yield seen_as


def unmount(mount: Path) -> Path:
    """What it was mounted on shows up."""
    mount_point, seen_as = mount.with_name("beside"), mount.with_name("next")
    mount_point.mkdir(exist_ok=True)
    seen_as.symlink_to(mount_point)
    seen_as.replace(mount)
    return mount_point


@pytest.mark.parametrize("out", [".", "runs/math"])
def test_a_run_whose_file_system_goes_writes_nothing_in_its_place(mount: Path, out: str) -> None:
    ending, folder = Ending(), mount / out
    found: list[bool] = []

    def run() -> None:
        with ending.watched(), Lease(folder, ending, patience=QUICK) as lease:
            found.append(lease.has_folder())
            unmount(mount)
            found.append(lease.has_folder())
            time.sleep(20)

    with pytest.raises(FolderLost, match="on another file system than when this run began"):
        run()
    assert found == [True, False]
    assert list(mount.iterdir()) == []


def test_a_job_that_meets_it_first_says_the_same(mount: Path) -> None:
    ending = Ending()

    def run() -> None:
        with ending.watched(), Lease(mount / "run", ending):
            unmount(mount)
            (mount / "run" / "rows.parquet").read_bytes()

    with pytest.raises(FolderLost, match="on another file system") as met:
        run()
    assert isinstance(met.value.__cause__, FileNotFoundError)


def test_nor_does_a_job_that_meets_nothing_end_well(mount: Path) -> None:
    lease = Lease(mount / "run", Ending())
    lease.__enter__()
    unmount(mount)
    with pytest.raises(FolderLost):
        lease.check()
    with pytest.raises(FolderLost):
        lease.__exit__(None, None, None)
    assert list(mount.iterdir()) == []


def test_what_a_thread_meets_in_a_folder_of_anothers_is_nothing_but_that(tmp_path: Path) -> None:
    ending = Ending()

    def run() -> None:
        with ending.watched(), Lease(tmp_path, ending):
            put(tmp_path, ELSEWHERE)
            ending.fail(ValueError("these are other rows"))
            time.sleep(20)

    with pytest.raises(FolderLost, match="was taken over by process 1 on node-7"):
        run()


def test_an_error_in_a_folder_that_is_there_stays_what_it_is(tmp_path: Path) -> None:
    ending = Ending()
    with (
        pytest.raises(ZeroDivisionError),
        ending.watched(),
        Lease(tmp_path, ending, patience=QUICK),
    ):
        1 / 0  # noqa: B018


def test_a_folder_that_comes_back_on_another_device_is_the_same(
    mount: Path, tmp_path: Path
) -> None:
    ending, again = Ending(), tmp_path / "beside"
    shutil.copytree(mount, again)
    with ending.watched(), Lease(mount, ending, patience=QUICK) as lease:
        shutil.copy(mount / LEASE, again / LEASE)
        unmount(mount)
        time.sleep(10 * QUICK.refresh_s)
        assert lease.has_folder()
    assert not (again / LEASE).exists(), "refreshed there, and given up there"


def test_a_folder_that_is_away_for_a_while_is_not_made_anew(tmp_path: Path) -> None:
    folder, aside = tmp_path / "run", tmp_path / "aside"
    ending = Ending()
    with ending.watched(), Lease(folder, ending, patience=QUICK):
        folder.rename(aside)
        time.sleep(3 * QUICK.refresh_s)
        assert not folder.exists()
        aside.rename(folder)
        time.sleep(3 * QUICK.refresh_s)
        assert read_holder(folder / LEASE) is not None


def test_a_lease_is_refreshed_while_its_run_lives(tmp_path: Path) -> None:
    with lease(tmp_path):
        first = read_holder(tmp_path / LEASE)
        time.sleep(0.5)
        later = read_holder(tmp_path / LEASE)
    assert first is not None
    assert later is not None
    assert later.refreshed > first.refreshed
