"""Where the rows come from: a published folder, files of rows, or the Hub, a row at a time.

Nothing is read but what is asked for: local Parquet file by file, a dataset on the Hub streamed.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factory.errors import InputError, shortened
from factory.report.show import open_dataset
from schemas.manifest import MANIFEST

if TYPE_CHECKING:
    from datasets import IterableDataset

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
DEFAULT_PART = "data"
LOADERS = {".parquet": "parquet", ".jsonl": "json", ".json": "json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Rows that can be read again and again, in the same order."""

    dataset: "IterableDataset"
    num_rows: int | None
    """`None` where nobody says."""
    is_remote: bool
    origin: dict[str, Any] = field(default_factory=dict)
    """Where they come from and, of a published dataset, digest and recipe."""

    def rows(self, seed: int | None = None, buffer: int = 1) -> Iterator[dict[str, Any]]:
        """The rows in their order, or for a seed in one of their own.

        Shuffled are a dataset's files, and then rows within a buffer that slides over them.
        """
        rows = self.dataset
        yield from rows if seed is None else rows.shuffle(seed=seed, buffer_size=buffer)


def open_source(data: str, *, part: str, split: str, columns: Sequence[str]) -> Source:
    """The rows of a job's or dataset's folder, of a file or folder of them, or of a Hub dataset.

    Of `columns` those are read that are there. Raises InputError where there are no rows.
    """
    path = Path(data)
    if path.exists():
        source = _local(path, part)
    elif HUB_ID.fullmatch(data):
        source = _remote(data, part, split)
    else:
        raise InputError(f"{data} does not exist: give a folder, a file or org/name on the Hub")
    there = _columns(source.dataset)
    wanted = [name for name in columns if name in there]
    if not wanted:
        raise InputError(
            f"{data} has none of the columns {', '.join(columns[:3])}: choose another --part, "
            "or bring the rows into form with prm-factory import"
        )
    return Source(
        dataset=source.dataset.select_columns(wanted),
        num_rows=source.num_rows,
        is_remote=source.is_remote,
        origin=source.origin,
    )


def _columns(dataset: "IterableDataset") -> list[str]:
    names = dataset.column_names
    return list(names) if names is not None else list(next(iter(dataset), {}))


def _local(path: Path, part: str) -> Source:
    folder = _published_folder(path)
    if folder is None:
        return _files(path, {"data": path.name})
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    origin = _origin(manifest, folder.name, part)
    if (folder / DEFAULT_PART).is_dir():
        if not (folder / part).is_dir():
            raise InputError(f"{folder} has no part {part!r}: {_parts(manifest)}")
        return _files(folder / part, origin)
    return _arrow(folder, origin)


def _published_folder(path: Path) -> Path | None:
    if not any((path / place / MANIFEST).is_file() for place in ("", "dataset")):
        return None
    return open_dataset(path)[0]


def _parts(manifest: dict[str, Any]) -> str:
    names = sorted({shard["path"].partition("/")[0] for shard in manifest["shards"]})
    return f"there are {', '.join(names)}"


def _files(path: Path, origin: dict[str, Any]) -> Source:
    files = sorted(f for f in path.rglob("*") if f.suffix in LOADERS) if path.is_dir() else [path]
    files = [file for file in files if file.suffix in LOADERS and file.name != MANIFEST]
    if not files:
        raise InputError(f"{path} holds no {', '.join(LOADERS)} file")
    from datasets import load_dataset

    dataset = load_dataset(
        LOADERS[files[0].suffix],
        data_files=[str(f) for f in files if f.suffix == files[0].suffix],
        split="train",
        streaming=True,
    )
    return Source(dataset=dataset, num_rows=_num_rows(files), is_remote=False, origin=origin)


def _num_rows(files: Sequence[Path]) -> int | None:
    import pyarrow.parquet as pq

    if any(file.suffix != ".parquet" for file in files):
        return None
    return sum(pq.ParquetFile(file).metadata.num_rows for file in files)


def _arrow(folder: Path, origin: dict[str, Any]) -> Source:
    from datasets import load_from_disk

    dataset = load_from_disk(str(folder))
    return Source(
        dataset=dataset.to_iterable_dataset(),
        num_rows=len(dataset),
        is_remote=False,
        origin=origin,
    )


def _remote(repo: str, part: str, split: str) -> Source:
    from datasets import load_dataset

    manifest = _remote_manifest(repo)
    config = None if part == DEFAULT_PART else part
    try:
        dataset = load_dataset(repo, config, split=split, streaming=True)
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot stream {repo} from the Hub: {shortened(error)}: check its name, --part and "
            "--split, and your token"
        ) from error
    splits = dataset.info.splits or {}
    counted = splits[split].num_examples if split in splits else None
    return Source(
        dataset=dataset,
        num_rows=_rows_of(manifest, part) or counted or None,
        is_remote=True,
        origin=_origin(manifest, repo, part),
    )


def _remote_manifest(repo: str) -> dict[str, Any]:
    """The manifest of a dataset of ours; empty for one of others."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        content = json.loads(
            Path(hf_hub_download(repo, MANIFEST, repo_type="dataset")).read_bytes()
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) and "shards" in content else {}


def _rows_of(manifest: dict[str, Any], part: str) -> int:
    shards = manifest.get("shards", ())
    return sum(s["num_rows"] for s in shards if s["path"].startswith(f"{part}/"))


def _origin(manifest: dict[str, Any], name: str, part: str) -> dict[str, Any]:
    if not manifest:
        return {"data": name, "part": part}
    return {
        "data": name,
        "part": part,
        "digest": manifest["digest"],
        "recipe": manifest["recipe"]["name"],
        "num_rows": _rows_of(manifest, part),
    }
