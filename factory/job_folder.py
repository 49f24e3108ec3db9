"""Where a job keeps what it makes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.stages import StageFolder

JOB_FILE = "job.json"
"""The job as it was run, for audits; it stays in the job's folder and is never published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFolder:
    """The folder a job works in."""

    path: Path

    @property
    def problems(self) -> Path:
        return self.path / "stages" / "problems"

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

    def evidence(self, recipe: dict[str, Any]) -> list[Path]:
        """Rows as the last stage of the recipe (its description) leaves them."""
        return (self.critique if recipe["teaching"] else self.estimate).files()

    @property
    def dataset(self) -> Path:
        return self.path / "dataset"
