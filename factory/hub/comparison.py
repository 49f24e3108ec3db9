"""A folder against a repo's tree: what is there, what is missing, and what must not be mixed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from factory.errors import InputError
from factory.hub.remote import RemoteFile, Tree, is_same
from schemas.files import read_bytes
from schemas.manifest import ShardEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A manifest's shards by whether the repo holds them."""

    there: tuple[ShardEntry, ...]
    missing: tuple[ShardEntry, ...]


def compare(shards: Sequence[ShardEntry], tree: Tree, folder: Path, repo_id: str) -> Comparison:
    """Which shards the tree holds, by hash.

    Raises InputError when another file has a shard's name, and when the card would load files
    along with the shards that the manifest does not know.
    """
    known = {shard.path for shard in shards}
    for shard in shards:
        file = tree.files.get(shard.path)
        if file is not None and not _is_shard(file, shard, folder):
            raise InputError(
                f"{repo_id} has another {shard.path}: {_hash_of(file)} there, SHA-256 "
                f"{shard.sha256} in {folder}; nothing was overwritten: push to another repo or "
                "revision"
            )
    if strangers := sorted(path for path in tree.files if _would_load(path, known)):
        raise InputError(
            f"{repo_id} holds {strangers[0]}, which the manifest of {folder} does not list: both "
            "would be loaded as one dataset; push to another repo or revision"
        )
    return Comparison(
        there=tuple(shard for shard in shards if shard.path in tree.files),
        missing=tuple(shard for shard in shards if shard.path not in tree.files),
    )


def changed(documents: Mapping[str, str], tree: Tree) -> dict[str, str]:
    """The documents that the tree does not hold as they are."""
    return {
        path: text
        for path, text in documents.items()
        if path not in tree.files or not is_same(tree.files[path], text.encode())
    }


def _is_shard(file: RemoteFile, shard: ShardEntry, folder: Path) -> bool:
    """A repo that does not store Parquet as large files has no SHA-256 of it."""
    if file.sha256 is not None:
        return file.sha256 == shard.sha256
    return is_same(file, read_bytes(folder / shard.path))


def _hash_of(file: RemoteFile) -> str:
    return f"SHA-256 {file.sha256}" if file.sha256 else f"git hash {file.git_sha1}"


def _would_load(path: str, known: set[str]) -> bool:
    folders = {PurePosixPath(shard).parent for shard in known}
    is_beside = path.endswith(".parquet") and PurePosixPath(path).parent in folders
    return is_beside and path not in known
