"""What a folder holds and what made it."""

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from schemas.files import read_bytes, write_atomically
from schemas.records import SCHEMA_VERSION

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardEntry:
    """One file of rows; its content never changes once it is listed."""

    path: str
    """Relative to the dataset's folder."""
    sha256: str
    num_bytes: int
    num_rows: int

    def __post_init__(self) -> None:
        """A manifest may come from others: its paths lead nowhere but into its folder."""
        parts = PurePosixPath(self.path).parts
        if not parts or self.path.startswith("/") or ".." in parts or "\\" in self.path:
            raise ValueError(f"shard path {self.path!r} leaves the dataset's folder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The identity of a job and, once published, its outcome."""

    digest: str
    """Names recipe, models, grader, seed and schema: equal digests mean comparable rows."""
    evidence_digest: str
    """The same without the labeler: what the stored evidence depends on."""
    recipe: dict[str, Any]
    models: dict[str, Any]
    grader: str
    seed: int
    versions: dict[str, str]
    """Of packages; of several runs all that there were: "0.31.0 and 0.32.0"."""
    problems: str
    """Where the problems came from."""
    schema_version: int = SCHEMA_VERSION
    stages: dict[str, Any] = field(default_factory=dict)
    """Counters of each stage that has run."""
    summary: dict[str, Any] = field(default_factory=dict)
    audit: dict[str, Any] = field(default_factory=dict)
    """What an audit found; empty until there was one."""
    shards: tuple[ShardEntry, ...] = ()
    num_problems: int = 0
    """Of the job so far; the summary counts those that are published."""
    is_complete: bool = False
    """Nothing is left to publish. The shards listed before that are final all the same."""


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Puts the manifest in place in one step."""
    content = {name: getattr(manifest, name) for name in Manifest.__slots__}
    content["shards"] = [{n: getattr(s, n) for n in ShardEntry.__slots__} for s in manifest.shards]
    write_atomically(folder / MANIFEST, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder, `None` where there is none.

    Raises ValueError when it is damaged or from another schema version.
    """
    path = folder / MANIFEST
    try:
        text = read_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        content = dict(json.loads(text))
        version = content["schema_version"]
        if version == SCHEMA_VERSION:
            shards = tuple(ShardEntry(**shard) for shard in content.pop("shards"))
            return Manifest(**content, shards=shards)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    raise ValueError(f"{path} has schema version {version}, this is {SCHEMA_VERSION}")
