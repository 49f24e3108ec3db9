"""Where the rows come from: a published folder, files of rows, or the Hub, a row at a time.

Nothing is read but what is asked for: local Parquet file by file, a dataset on the Hub streamed.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factory.errors import InputError, shortened
from factory.report.show import open_dataset
from factory.training.row_files import (
    DEFAULT_SPLIT,
    DIGEST_DIGITS,
    LOADERS,
    content_digest,
    count_rows,
    row_files,
    stream_files,
    unreadable,
)
from schemas.files import sha256_of
from schemas.manifest import MANIFEST

if TYPE_CHECKING:
    from datasets import IterableDataset

HUB_ID = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?")
DEFAULT_PART = "data"
FILE_SUFFIXES = (*LOADERS, ".arrow", ".csv", ".gz", ".tsv", ".txt", ".zst")
"""What ends so is a file and no dataset's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Rows that can be read again and again, in the same order."""

    dataset: "IterableDataset"
    num_rows: int | None
    """`None` where nobody says."""
    is_remote: bool
    origin: dict[str, Any] = field(default_factory=dict)
    """Where they come from, and what changes with them: the content of files, the revision on the
    Hub; of a published dataset also digest and recipe."""
    files: tuple[Path, ...] = ()
    """Those that are read, of this machine."""

    def rows(self, seed: int | None = None, buffer: int = 1) -> Iterator[dict[str, Any]]:
        """The rows in their order, or for a seed in one of their own.

        Shuffled are a dataset's files, and then rows within a buffer that slides over them.
        """
        rows = self.dataset
        try:
            yield from rows if seed is None else rows.shuffle(seed=seed, buffer_size=buffer)
        except (ValueError, OSError) as error:
            if not self.files:
                raise
            raise unreadable(self.files, error) from error


def open_source(
    data: str,
    *,
    part: str | None,
    split: str,
    columns: Sequence[str],
    default_part: str = DEFAULT_PART,
) -> Source:
    """The rows of a job's or dataset's folder, of a file or folder of them, or of a Hub dataset,
    which is org/name, or org/name@revision for another than its newest.

    Without a `part` a dataset of ours is read in its `default_part`, one of others on the Hub in
    its own default configuration. Of `columns` those are read that are there. Raises InputError
    where there are no rows, and for a part or split of what has none.
    """
    path = Path(data)
    if path.exists():
        folder = _published_folder(path)
        if folder is None:
            source = _rows_in(path, part, split)
        else:
            source = _published(folder, part or default_part, split)
    elif (hub := HUB_ID.fullmatch(data)) and path.suffix not in FILE_SUFFIXES:
        source = _remote(hub["repo"], hub["revision"], part, default_part, split)
    else:
        raise InputError(f"no such file: {data}: give a folder, a file or org/name on the Hub")
    there = _columns(source)
    if not there:
        raise InputError(f"nothing to learn from: {data} has no rows")
    wanted = [name for name in columns if name in there]
    if not wanted:
        raise InputError(
            f"{data} has none of the columns {', '.join(columns[:3])}: choose another --part, "
            "or bring the rows into form with prm-factory import"
        )
    return replace(source, dataset=source.dataset.select_columns(wanted))


def _columns(source: Source) -> list[str]:
    names = source.dataset.column_names
    return list(names) if names is not None else list(next(source.rows(), {}))


def _rows_in(path: Path, part: str | None, split: str) -> Source:
    if part is not None:
        raise InputError(f"{path} holds rows and no dataset with parts: leave --part {part} out")
    return _files(path, {"data": path.name}, split)


def _published(folder: Path, part: str, split: str) -> Source:
    if split != DEFAULT_SPLIT:
        raise InputError(f"{folder} is a dataset without splits: leave --split {split} out")
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    origin = _origin(manifest, folder.name, part)
    if (folder / DEFAULT_PART).is_dir():
        if not (folder / part).is_dir():
            raise InputError(f"{folder} has no part {part!r}: {_parts(manifest)}")
        return _files(folder / part, origin)
    if part != DEFAULT_PART:
        raise InputError(f"{folder} has no part {part!r}: there is {DEFAULT_PART}")
    return _arrow(folder, origin)


def _published_folder(path: Path) -> Path | None:
    if not any((path / place / MANIFEST).is_file() for place in ("", "dataset")):
        return None
    return open_dataset(path)[0]


def _parts(manifest: dict[str, Any]) -> str:
    names = sorted({shard["path"].partition("/")[0] for shard in manifest["shards"]})
    return f"there are {', '.join(names)}"


def _files(path: Path, origin: dict[str, Any], split: str | None = None) -> Source:
    files = row_files(path, split)
    return Source(
        dataset=stream_files(files),
        num_rows=count_rows(files),
        is_remote=False,
        origin={**origin, "content": origin.get("content") or content_digest(files)},
        files=files,
    )


def _arrow(folder: Path, origin: dict[str, Any]) -> Source:
    from datasets import load_from_disk

    dataset = load_from_disk(str(folder))
    return Source(
        dataset=dataset.to_iterable_dataset(),
        num_rows=len(dataset),
        is_remote=False,
        origin=origin,
    )


def _remote(
    repo: str, revision: str | None, part: str | None, default_part: str, split: str
) -> Source:
    from datasets import load_dataset

    try:
        commit = _commit(repo, revision)
        if manifest := _remote_manifest(repo, commit):
            part = part or default_part
        config = None if manifest and part == DEFAULT_PART else part
        dataset = load_dataset(repo, config, split=split, revision=commit, streaming=True)
    except InputError:
        raise
    except Exception as error:  # the HTTP client's own too, which changes
        raise InputError(
            f"cannot stream {repo} from the Hub: {shortened(error)}: check its name (there is no "
            "such folder here), --part and --split, and your token"
        ) from error
    splits = dataset.info.splits or {}
    counted = splits[split].num_examples if split in splits else None
    return Source(
        dataset=dataset,
        num_rows=(_rows_of(manifest, part) if part else 0) or counted or None,
        is_remote=True,
        origin={**_origin(manifest, repo, part), "revision": commit},
    )


def _commit(repo: str, revision: str | None) -> str | None:
    """The commit that is read from first to last; offline, whatever the cache holds."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        return HfApi().dataset_info(repo, revision=revision).sha
    except OfflineModeIsEnabled:
        return revision


def _remote_manifest(repo: str, commit: str | None) -> dict[str, Any]:
    """The manifest of a dataset of ours; empty for one of others."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        content = json.loads(
            Path(hf_hub_download(repo, MANIFEST, repo_type="dataset", revision=commit)).read_bytes()
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) and "shards" in content else {}


def _shards_of(manifest: dict[str, Any], part: str) -> list[dict[str, Any]]:
    return [s for s in manifest.get("shards", ()) if s["path"].startswith(f"{part}/")]


def _rows_of(manifest: dict[str, Any], part: str) -> int:
    return sum(shard["num_rows"] for shard in _shards_of(manifest, part))


def _origin(manifest: dict[str, Any], name: str, part: str | None) -> dict[str, Any]:
    if not manifest:
        return {"data": name, "part": part}
    assert part is not None, "a dataset of ours is read in a part"
    hashes = "".join(shard["sha256"] for shard in _shards_of(manifest, part))
    return {
        "data": name,
        "part": part,
        "digest": manifest["digest"],
        "recipe": manifest["recipe"]["name"],
        "num_rows": _rows_of(manifest, part),
        "content": sha256_of(hashes.encode())[:DIGEST_DIGITS],
    }
