"""Where a job keeps what it makes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.slices import Slices, read_slices
from factory.stage_folder import StageFolder
from factory.stored import StoredRows, groups_in
from schemas.records import ProblemGroup

JOB_FILE = "job.json"
"""The job as it was run, for audits; it stays in the job's folder and is never published."""
STAGES = ("sample", "estimate", "critique")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFolder:
    """The folder a job works in."""

    path: Path

    @property
    def problems(self) -> Path:
        """The problems, in slices."""
        return self.path / "stages" / "problems"

    def slices(self) -> Slices:
        """The problems as they are stored."""
        return read_slices(self.problems)

    @property
    def sample(self) -> StageFolder:
        return StageFolder(path=self.path / "stages" / "sample")

    @property
    def estimate(self) -> StageFolder:
        """The evidence."""
        return StageFolder(path=self.path / "stages" / "estimate")

    @property
    def critique(self) -> StageFolder:
        """The evidence with rationales."""
        return StageFolder(path=self.path / "stages" / "critique")

    def last_stage(self, recipe: dict[str, Any]) -> StageFolder:
        """The last stage of the recipe (its description)."""
        return self.critique if recipe["teaching"] else self.estimate

    @property
    def seals(self) -> Path:
        """What each sealed slice came to."""
        return self.path / "stages" / "sealed"

    @property
    def dataset(self) -> Path:
        return self.path / "dataset"

    def stored(self, stage: StageFolder, slices: Slices | None = None) -> StoredRows:
        """What is stored of a stage, of the problems as they are now."""
        return StoredRows(stage, (slices or self.slices()).input_ids)

    def has_rows(self) -> bool:
        """Whether any stage has stored anything."""
        return any(getattr(self, name).files() for name in STAGES)

    def groups(self, stage: StageFolder) -> Iterator[ProblemGroup]:
        """Every group that a stage has stored, once, by slice and there by problem_id."""
        slices = self.slices()
        rows = self.stored(stage, slices).rows
        for number in sorted(slices.members):
            yield from groups_in(rows, [i for i in slices.members[number] if i in rows])
