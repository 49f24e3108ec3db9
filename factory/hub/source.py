"""What a dataset folder holds at one moment, and the documents that say so in the repo."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from factory.errors import InputError
from schemas.files import read_bytes
from schemas.manifest import MANIFEST, ShardEntry

CARD = "README.md"
FENCE = "---\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The folder's shards with the texts beside them."""

    shards: tuple[ShardEntry, ...]
    manifest_text: str
    card_text: str

    def documents(self, shards: Sequence[ShardEntry], *, is_final: bool) -> dict[str, str]:
        """Card and manifest of a repo that holds just these of the shards."""
        return {
            CARD: growing_card(self.card_text, shards, is_final=is_final),
            MANIFEST: self._manifest_of(shards),
        }

    def _manifest_of(self, shards: Sequence[ShardEntry]) -> str:
        """The summary is about all of the folder's shards, so a part has none."""
        if len(shards) == len(self.shards):
            return self.manifest_text
        content = json.loads(self.manifest_text)
        paths = {shard.path for shard in shards}
        content["shards"] = [shard for shard in content["shards"] if shard["path"] in paths]
        content |= {"summary": {}, "is_complete": False}
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read_source(folder: Path, token: str | None) -> Source | None:
    """The folder's sealed shards and documents; `None` while it has no manifest.

    Raises InputError when the manifest is damaged, and when a document contains the token.
    """
    text = _text(folder / MANIFEST)
    if text is None:
        return None
    card_text = _text(folder / CARD) or ""
    for name, content in ((MANIFEST, text), (CARD, card_text)):
        if token and token in content:
            raise InputError(f"{folder / name} contains the Hub token: take it out before pushing")
    return Source(shards=_shards(folder, text), manifest_text=text, card_text=card_text)


def is_complete(folder: Path) -> bool:
    """Whether a job has nothing left to publish in this dataset's folder."""
    text = _text(folder / MANIFEST)
    try:
        return text is not None and bool(json.loads(text)["is_complete"])
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{folder / MANIFEST} is damaged: {error}") from error


def _text(path: Path) -> str | None:
    try:
        return read_bytes(path).decode()
    except FileNotFoundError:
        return None


def _shards(folder: Path, text: str) -> tuple[ShardEntry, ...]:
    try:
        return tuple(ShardEntry(**shard) for shard in json.loads(text)["shards"])
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{folder / MANIFEST} is damaged: {error}") from error


def growing_card(text: str, shards: Sequence[ShardEntry], *, is_final: bool) -> str:
    """A card with which `load_dataset` finds every shard there is, now and when there are more.

    The folder's own card stays as it is where that already holds. Sizes of splits are left out
    while they change, and a line says how far the job is.
    """
    header, body = _split(text)
    wanted = dict(header)
    if not wanted.get("configs"):
        folder = Path(shards[0].path).parent.as_posix()
        files = [{"split": "train", "path": f"{folder}/*.parquet"}]
        wanted["configs"] = [{"config_name": "default", "data_files": files}]
    if not is_final:
        info = wanted.get("dataset_info")
        if isinstance(info, dict):
            sizes = ("splits", "download_size", "dataset_size")
            wanted["dataset_info"] = {k: v for k, v in info.items() if k not in sizes}
        num_rows = sum(shard.num_rows for shard in shards)
        body = f"\n> Growing: {num_rows:,} rows in {len(shards):,} shards so far.\n{body}"
    if wanted == header and is_final:
        return text
    dumped = yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True)
    return f"{FENCE}{dumped}{FENCE}{body}"


def _split(text: str) -> tuple[dict[str, Any], str]:
    """The YAML header of a card and what follows it.

    Raises InputError when the header is not YAML.
    """
    if not text.startswith(FENCE) or "\n---\n" not in text:
        return {}, text
    head, body = text.removeprefix(FENCE).split("\n---\n", 1)
    try:
        header = yaml.safe_load(head)
    except yaml.YAMLError as error:
        raise InputError(f"{CARD} does not begin with a YAML header: {error}") from error
    return (header, body) if isinstance(header, dict) else ({}, text)
