"""What a job published, and how it differs from what another one did."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Rows by solution, and what the manifest says of them."""

    rows: dict[str, str]
    """A hash of each row, by solution_id."""
    times: Counter[str]
    """How often each solution_id occurs."""
    files: dict[str, str]
    """SHA-256 of each shard as it is on disk, by path."""
    summary: dict[str, Any]
    digest: str

    @property
    def num_failed(self) -> int:
        """Problems that are to be tried again."""
        return sum(self.summary["failed"].values())

    def size(self) -> dict[str, Any]:
        return {"rows": len(self.rows), "files": len(self.files), "digest": self.digest}

    def differences(self, other: "Published") -> dict[str, Any]:
        """How the other one is worse; all empty or true when they are the same."""
        common = self.rows.keys() & other.rows.keys()
        return {
            "lost": sorted(self.rows.keys() - other.rows.keys()),
            "invented": sorted(other.rows.keys() - self.rows.keys()),
            "doubled": sorted(i for i, times in other.times.items() if times != 1),
            "changed": sorted(i for i in common if self.rows[i] != other.rows[i]),
            "same_files": self.files == other.files,
            "same_summary": self.summary == other.summary,
            "same_digest": self.digest == other.digest,
        }


def read_published(out: Path) -> Published:
    """Reads the dataset of a job's folder; each shard has to have the hash its manifest says."""
    dataset = out / "dataset"
    manifest = json.loads((dataset / "manifest.json").read_text(encoding="utf-8"))
    files = {
        str(file.relative_to(dataset)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(dataset.rglob("*.parquet"))
    }
    said = {shard["path"]: shard["sha256"] for shard in manifest["shards"]}
    assert files == said, f"shards on disk {files} are not those of the manifest {said}"
    rows = [row for path in files for row in pq.read_table(dataset / path).to_pylist()]
    return Published(
        rows={row["solution_id"]: _hash(row) for row in rows},
        times=Counter(row["solution_id"] for row in rows),
        files=files,
        summary=manifest["summary"],
        digest=manifest["digest"],
    )


def _hash(row: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
