"""Where a stage keeps its rows: small files of batches by pass, and whole slices once settled."""

from dataclasses import dataclass
from pathlib import Path

from schemas.files import clear_unfinished, is_local, listed, make_folder


def slice_name(number: int) -> str:
    """What a slice's files are called, without their ending."""
    return f"slice-{number:05d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFolder:
    """`pass-0000/` and on: a file per batch that a worker has done. `settled/`: a file per slice,
    into which the batches of a slice are written together when none of it is left to do. `costs/`:
    a file per run."""

    path: Path

    @property
    def costs(self) -> Path:
        """What runs have spent (`factory.spending`)."""
        return self.path / "costs"

    def files(self) -> list[Path]:
        """All complete files, settled slices first, then passes in order."""
        return [*self.settled(), *self.batches()]

    def settled(self) -> list[Path]:
        """Files of slices."""
        return listed(self.path / "settled", "slice-*.parquet")

    def settled_file(self, number: int) -> Path:
        """Where the rows of this slice are written together."""
        return self.path / "settled" / f"{slice_name(number)}.parquet"

    def batches(self) -> list[Path]:
        """Files of batches, passes in order."""
        return [file for folder in self.passes() for file in listed(folder, "*.parquet")]

    def passes(self) -> list[Path]:
        """Folders of the passes begun so far, oldest first."""
        return [f for f in listed(self.path, "pass-*") if not is_local(f) or f.is_dir()]

    def open_pass(self) -> Path:
        """A new pass, later than all others; leftovers of killed writers go."""
        passes = self.passes()
        clear_unfinished(self.path)
        number = pass_number(passes[-1]) + 1 if passes else 0
        folder = self.path / f"pass-{number:04d}"
        make_folder(folder)
        return folder


def pass_number(folder: Path) -> int:
    """Of a pass's folder."""
    return int(folder.name.removeprefix("pass-"))
