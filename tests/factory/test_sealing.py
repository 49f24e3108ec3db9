"""Slices are sealed as they are settled: final, loadable at every moment, the same bytes always."""

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory.core.labelers import HardEstimation
from factory.ending import Ending
from factory.job_folder import JobFolder
from factory.publish import provenance_of
from factory.recipes import load_recipe
from factory.sealing import Sealer
from factory.shards import Rule
from factory.slices import add_problems
from factory.stored import StoredRows
from schemas.arrow import arrow_schema, to_row
from schemas.files import place, sha256_of
from schemas.manifest import Manifest, read_manifest
from schemas.records import ProblemGroup, Status
from tests.factory.builders import group, manifest_of, store, unlabelled

pytestmark = pytest.mark.usefixtures("no_sleep_after_streams")

MANIFEST = manifest_of(load_recipe("math-shepherd"))
NAMES = "abcdefgh"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def job(path: Path, names: Iterable[str] = NAMES, size: int = 2) -> JobFolder:
    """A job of one problem for each name, in slices."""
    import pyarrow as pa

    folder = JobFolder(path=path)
    rows = [to_row(replace(group(name), solutions=())) for name in names]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(ProblemGroup))
    add_problems(folder.problems, folder.slices(), [table], size)
    return folder


def done(folder: JobFolder, *groups: ProblemGroup, in_pass: int = 0) -> Path:
    """A worker stores a batch."""
    name = "".join(g.problem_id for g in groups)
    path = folder.estimate.path / f"pass-{in_pass:04d}" / f"{name}.parquet"
    if isinstance(path, Path):
        return store(path, groups)
    import pyarrow as pa

    from workers.store import write_groups

    table = pa.Table.from_pylist([to_row(g) for g in groups], schema=arrow_schema(ProblemGroup))
    return write_groups(path.parent, table)


def sealer(folder: JobFolder, labeler: Any = HardEstimation()) -> Sealer:
    """As a run that begins now has it."""
    slices = folder.slices()
    rule = Rule(labeler=labeler, provenance=provenance_of(MANIFEST))
    stored = StoredRows(folder.estimate, slices.input_ids)
    return Sealer(folder, slices, stored, rule, rows_per_row_group=100)


def hashes(folder: JobFolder) -> dict[str, str]:
    """SHA-256 of everything published that does not name a moment."""
    return {
        f.relative_to(folder.dataset).as_posix(): sha256_of(f.read_bytes())
        for f in folder.dataset.rglob("*")
        if f.is_file() and f.name != "manifest.json"
    }


def loaded(folder: JobFolder, *, streaming: bool) -> list[str]:
    from datasets import load_dataset

    rows = load_dataset(str(folder.dataset), split="train", streaming=streaming)
    return [row["problem_id"] for row in rows]


def manifest_in(folder: JobFolder) -> Manifest:
    found = read_manifest(folder.dataset)
    assert found is not None
    return found


def test_a_slice_is_sealed_when_all_of_it_is_settled(tmp_path: Path) -> None:
    folder = job(tmp_path)
    batches = [done(folder, group("a"), group("c")), done(folder, group("d"))]
    one = sealer(folder)
    assert one.seal_settled(MANIFEST) == 1
    assert [s.path for s in manifest_in(folder).shards] == ["data/train-00001.parquet"]
    assert not manifest_in(folder).is_complete
    assert manifest_in(folder).num_problems == 8
    assert [b.exists() for b in batches] == [True, False], "a's slice still needs the first"
    assert [f.name for f in folder.estimate.settled()] == ["slice-00001.parquet"]
    assert one.seal_settled(MANIFEST) == 0


def test_the_dataset_loads_at_every_moment_and_shards_never_change(tmp_path: Path) -> None:
    folder = job(tmp_path)
    seen: dict[str, str] = {}
    for finished in ("ab", "dc", "fg", "eh"):
        done(folder, *map(group, finished))
        sealer(folder).seal_settled(MANIFEST)
        listed = [shard.path for shard in manifest_in(folder).shards]
        expected = [f"data/train-{n:05d}.parquet" for n in range(len(listed))]
        assert listed == expected
        for streaming in (True, False):
            assert loaded(folder, streaming=streaming) == list(NAMES)[: 2 * len(listed)]
        now = {shard.path: shard.sha256 for shard in manifest_in(folder).shards}
        assert seen.items() <= now.items()
        seen = now
    assert "In progress: 8 of 8" in (folder.dataset / "README.md").read_text()
    manifest = sealer(folder).finish(MANIFEST)
    assert manifest.is_complete
    assert manifest.summary["num_problems"] == 8
    assert "In progress" not in (folder.dataset / "README.md").read_text()
    assert not folder.estimate.batches()


@pytest.mark.parametrize("seed", range(4))
def test_files_are_the_same_in_whatever_order_and_however_often_interrupted(
    tmp_path: Path, seed: int
) -> None:
    straight = job(tmp_path / "straight")
    done(straight, *map(group, NAMES))
    sealer(straight).finish(MANIFEST)
    other = job(tmp_path / "other")
    draw = random.Random(seed)
    names = draw.sample(NAMES, len(NAMES))
    run = sealer(other)
    for n in range(0, len(names), 2):
        done(other, *map(group, names[n : n + 2]), in_pass=n // 4)
        if draw.random() < 0.5:
            run = sealer(other)
        else:
            run._stored.look()
        run.seal_settled(MANIFEST)
    sealer(other).finish(MANIFEST)
    assert hashes(other) == hashes(straight)


class Killed(BaseException):
    """In the place of SIGKILL."""


class DiesAt:
    """A labeler that dies at its n-th group."""

    def __init__(self, last: int) -> None:
        self._left = last

    def __call__(self, chain: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise Killed
        return HardEstimation()(chain)


@pytest.mark.parametrize("last", range(0, 8, 3))
def test_a_run_that_dies_while_it_labels_goes_on_to_the_same_files(
    tmp_path: Path, last: int
) -> None:
    straight, other = job(tmp_path / "straight"), job(tmp_path / "other")
    for folder in (straight, other):
        done(folder, *map(group, NAMES))
    sealer(straight).finish(MANIFEST)
    with pytest.raises(Killed):
        sealer(other, DiesAt(last)).finish(MANIFEST)
    sealer(other).finish(MANIFEST)
    assert hashes(other) == hashes(straight)


def test_what_failed_is_left_out_and_follows_in_a_slice_of_its_own(tmp_path: Path) -> None:
    folder = job(tmp_path)
    failed = [unlabelled(name, Status.FAILED, "engine lost") for name in "bg"]
    done(folder, *map(group, "acdefh"), *failed)
    first = sealer(folder).finish(MANIFEST)
    assert first.summary["failed"] == {"engine lost": 2}
    assert (first.summary["num_problems"], first.summary["num_problems_ok"]) == (8, 6)
    assert first.is_complete
    done(folder, group("b"), unlabelled("g", Status.FAILED, "engine lost"), in_pass=1)
    second = sealer(folder).finish(MANIFEST)
    assert second.shards[:-1] == first.shards
    assert second.shards[-1].path == "data/train-00004.parquet"
    assert second.summary["failed"] == {"engine lost": 1}
    assert (second.summary["num_problems"], second.summary["num_problems_ok"]) == (8, 7)
    assert sorted(loaded(folder, streaming=False)) == list("abcdefh")
    again = sealer(folder).finish(MANIFEST)
    assert again == second


def test_a_corrected_problem_has_its_slice_sealed_again_and_no_other(tmp_path: Path) -> None:
    folder = job(tmp_path)
    done(folder, *map(group, NAMES))
    first = sealer(folder).finish(MANIFEST)
    corrected = replace(group("c", question="How many then?"), input_id="corrected")
    import pyarrow as pa

    row = pa.Table.from_pylist([to_row(corrected)], schema=arrow_schema(ProblemGroup))
    add_problems(folder.problems, folder.slices(), [row], 2)
    done(folder, corrected, in_pass=1)
    second = sealer(folder).finish(MANIFEST)
    changed = [a.path for a, b in zip(first.shards, second.shards, strict=True) if a != b]
    assert changed == ["data/train-00001.parquet"]


def test_a_settled_row_is_not_changed_by_a_batch_that_is_done_twice(tmp_path: Path) -> None:
    folder = job(tmp_path)
    done(folder, *map(group, NAMES))
    first = sealer(folder).finish(MANIFEST)
    done(folder, replace(group("a"), num_rollout_tokens=7))
    done(folder, unlabelled("b", Status.FAILED, "late"), in_pass=1)
    second = sealer(folder).finish(MANIFEST)
    assert second == first
    assert not folder.estimate.batches()


def test_an_error_while_sealing_ends_the_job_with_it(tmp_path: Path) -> None:
    import time

    folder = job(tmp_path)
    done(folder, *map(group, NAMES))

    def broken(chain: Any) -> Any:
        raise OSError(28, "No space left on device")

    ending = Ending()
    with (
        pytest.raises(OSError, match="No space left"),
        ending.watched(),
        sealer(folder, broken).beside(MANIFEST, ending, 0.05, patience_s=0.2),
    ):
        time.sleep(20)
    assert sealer(folder).finish(MANIFEST).summary["num_problems_ok"] == 8


def test_storage_that_is_away_for_a_moment_ends_nothing(tmp_path: Path) -> None:
    import time

    folder, num_calls = job(tmp_path), 0
    done(folder, *map(group, NAMES))

    def broken_at_first(chain: Any) -> Any:
        nonlocal num_calls
        num_calls += 1
        if num_calls < 4:
            raise OSError(5, "Input/output error")
        return HardEstimation()(chain)

    ending = Ending()
    sealing = sealer(folder, broken_at_first)
    deadline_s = time.monotonic() + 60
    with ending.watched(), sealing.beside(MANIFEST, ending, 0.01):
        while len(list(folder.seals.glob("*.json"))) < 4 and time.monotonic() < deadline_s:
            time.sleep(0.01)
    assert num_calls > 4
    assert sealing.finish(MANIFEST).summary["num_problems_ok"] == 8


def test_a_job_whose_every_problem_failed_streams_empty_and_grows_later(tmp_path: Path) -> None:
    folder = job(tmp_path, "ab")
    done(folder, *(unlabelled(name, Status.FAILED, "lost") for name in "ab"))
    first = sealer(folder).finish(MANIFEST)
    assert [(s.path, s.num_rows) for s in first.shards] == [("data/train-00000.parquet", 0)]
    assert loaded(folder, streaming=True) == []
    done(folder, group("a"), group("b"), in_pass=1)
    second = sealer(folder).finish(MANIFEST)
    assert second.shards[0] == first.shards[0]
    for streaming in (True, False):
        assert loaded(folder, streaming=streaming) == ["a", "b"]


def test_slices_are_sealed_in_a_bucket(tmp_path: Path, bucket: str) -> None:
    here, there = job(tmp_path / "here"), job(place(f"{bucket}/there"))
    for folder in (here, there):
        done(folder, *map(group, "abcde"))
        assert sealer(folder).seal_settled(MANIFEST) == 2
        done(folder, *map(group, "fgh"), in_pass=1)
    assert sealer(there).finish(MANIFEST) == sealer(here).finish(MANIFEST)
    assert not there.estimate.batches()
