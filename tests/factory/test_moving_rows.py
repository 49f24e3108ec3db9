"""A job may be read while it runs: files that are listed and then gone are no error."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from factory.errors import InputError
from factory.fit import fit_folder
from factory.job_folder import JobFolder
from factory.moving_rows import reread
from factory.relabel import relabel, unfinished
from factory.reuse import take_evidence
from tests.factory.builders import group, job_folder, store_job
from tests.factory.test_cli import run as run  # the fixture
from tests.factory.test_show import OWN

Reader = Callable[[Path, Path, Iterable[float]], Any]


def taken(source: Path, out: Path, pauses_s: Iterable[float]) -> set[str]:
    store_job(out, [group("p")], done=[])
    take_evidence(source, out, pauses_s)
    return set(JobFolder(path=out).stored(JobFolder(path=out).estimate).rows)


READERS: dict[str, tuple[Reader, Any]] = {
    "relabel": (lambda job, out, p: relabel(job, "genprm", out, p).summary["num_problems"], 1),
    "unfinished": (lambda job, _, pauses_s: unfinished(job, pauses_s), None),
    "fit-prior": (lambda job, _, p: fit_folder(job, 10, p).fit.num_chains, 1),
    "--evidence": (taken, {"p"}),
}


@pytest.mark.parametrize(("reader", "found"), READERS.values(), ids=READERS)
def test_a_job_whose_rows_move_is_read_again(tmp_path: Path, reader: Reader, found: Any) -> None:
    """A link to nothing is listed and cannot be read, as a batch that has just gone."""
    job = job_folder(tmp_path / "running")
    gone = job / "stages" / "estimate" / "pass-0000" / "gone.parquet"
    gone.symlink_to(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"went while they were read .*let the job there end"):
        reader(job, tmp_path / "out", (0.0,))

    def pauses() -> Iterator[float]:
        gone.unlink()
        yield 0.0

    assert reader(job, tmp_path / "out", pauses()) == found


def test_what_is_gone_elsewhere_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        reread(tmp_path / "job", (tmp_path / "out" / "file").read_bytes, (0.0,))


def test_a_file_that_is_gone_is_one_line(tmp_path: Path, run: Any) -> None:
    relabel(job := job_folder(tmp_path / "job"), "math-shepherd", job)
    [shard] = (job / "dataset" / "data").iterdir()
    shard.unlink()
    shard.symlink_to(tmp_path / "nothing")
    code, _, err = run("show", job)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(f"error: {shard}: No such file or directory: mount or bring back what")


def test_a_missing_program_is_a_bug_and_keeps_its_traceback(tmp_path: Path, run: Any) -> None:
    code = OWN.replace("pass", "__import__('subprocess').run(['no-such-program'])")
    (tmp_path / "mine.py").write_text(code)
    job = job_folder(tmp_path / "job")
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        run("relabel", job, "-r", tmp_path / "mine.py", "-o", tmp_path / "out")
