"""What a job's folder looks like after its writers were killed."""

from pathlib import Path

from schemas.files import clear_unfinished

KEPT = ("status.json", "dataset/data/train-00000.parquet", "stages/sealed/slice-00000.json")
UNFINISHED = (
    ".status.json.1f.tmp",
    "dataset/.manifest.json.2f.tmp",
    "dataset/data/.train-00001.parquet.3f.tmp",
    "stages/sealed/.slice-00001.json.4f.tmp",
    "stages/estimate/costs/.5f.json.6f.tmp",
    "stages/estimate/pass-0000/.7f.parquet.8f.tmp",
)


def test_what_killed_writers_left_goes_and_nothing_else(tmp_path: Path) -> None:
    for name in (*KEPT, *UNFINISHED):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".dataset.tmp").mkdir()  # a dataset that is being made: no file of a writer's
    clear_unfinished(tmp_path)
    assert (tmp_path / ".dataset.tmp").is_dir()
    left = {f.relative_to(tmp_path).as_posix() for f in tmp_path.rglob("*") if f.is_file()}
    assert left == set(KEPT)


def test_a_folder_that_is_not_there_yet_has_nothing_unfinished(tmp_path: Path) -> None:
    clear_unfinished(tmp_path / "new")
    assert not (tmp_path / "new").exists()
