"""A dataset repo on the Hub: its tree at its head, and commits made against that head."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import (
    CommitOperationAdd,
    HfApi,
    get_session,
    get_token,
    hf_raise_for_status,
)
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import (  # type: ignore[attr-defined] # lazy
    disable_progress_bars,
    validate_repo_id,
)

from factory.errors import InputError, shortened
from factory.hub.trouble import NotYet
from schemas.files import is_local, read_bytes
from schemas.manifest import ShardEntry
from workers.scratch import scratch

CLIENT = "prm-factory"
TIMEOUT_S = 120.0
"""Of silence; the client's own requests would wait for ever."""
CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file in the repo: `sha256` of its content for large files, else git's hash alone."""

    sha256: str | None
    git_sha1: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """All files of one commit."""

    head: str
    files: Mapping[str, RemoteFile]


def check_target(repo_id: str, token: str | None) -> str:
    """The token to push with: the one given, or the one that `hf auth login` or HF_TOKEN set.

    Raises InputError when there is none and when the name is not one of a repo.
    """
    try:
        validate_repo_id(repo_id)
        is_valid = repo_id.count("/") == 1
    except HFValidationError:
        is_valid = False
    if not is_valid:
        raise InputError(
            f"{repo_id!r} is no dataset repo: write it as org/name, of letters, digits, '-', '_' "
            "and '.'"
        )
    if token := token or get_token():
        return token
    raise InputError("no Hub token: run `hf auth login` or set HF_TOKEN")


class Remote:
    """Reads and commits to one branch. All methods raise what the client raises."""

    def __init__(
        self,
        repo_id: str,
        *,
        token: str,
        revision: str,
        is_private: bool | None,
        endpoint: str | None,
    ) -> None:
        self.repo_id = repo_id
        self._revision = revision
        self._is_private = is_private
        self._api = HfApi(endpoint=endpoint, token=token, library_name=CLIENT)
        disable_progress_bars()

    def read(self, *, may_create: bool = True) -> Tree:
        """The tree at the head; an absent repo or branch is made.

        Raises NotYet for it unless `may_create`.
        """
        _rein_in_client()
        with _readable_answers():
            head = self._head(may_create)
            return Tree(head=head, files=self._files(head))

    def _files(self, revision: str) -> dict[str, RemoteFile]:
        entries = self._api.list_repo_tree(
            self.repo_id, recursive=True, revision=revision, repo_type="dataset"
        )
        return {
            entry.path: RemoteFile(
                sha256=entry.lfs.sha256 if entry.lfs else None, git_sha1=entry.blob_id
            )
            for entry in entries
            if isinstance(entry, RepoFile)
        }

    def _head(self, may_create: bool) -> str:
        try:
            return self._revision_sha()
        except (RepositoryNotFoundError, RevisionNotFoundError) as error:
            if not may_create and error.response.status_code == 404:
                raise NotYet(
                    f"{self.repo_id} or its branch {self._revision} is gone, or this token may not "
                    "see it any more; it is not made anew while a push runs: bring it back, or "
                    "stop and start again for a new one"
                ) from None
            if isinstance(error, RepositoryNotFoundError):
                self._create_repo()
            else:
                self._create_branch()
        try:
            return self._revision_sha()
        except RevisionNotFoundError:  # a new repo, and a branch other than main
            self._create_branch()
            return self._revision_sha()

    def _create_repo(self) -> None:
        try:
            self._api.create_repo(
                self.repo_id, repo_type="dataset", private=self._is_private, exist_ok=True
            )
        except HfHubHTTPError as error:
            if error.response.status_code != 404:
                raise
            raise InputError(f"cannot create {self.repo_id}: is its owner on the Hub?") from error

    def _create_branch(self) -> None:
        """From the repo's first commit, so that it holds no rows of another branch.

        Raises InputError, and makes none, where the first commit has rows already.
        """
        first = self._api.list_repo_commits(self.repo_id, repo_type="dataset")[-1].commit_id
        if rows := sorted(path for path in self._files(first) if path.endswith(".parquet")):
            raise InputError(
                f"{self.repo_id} has no branch {self._revision!r}, and none can begin empty: its "
                f"first commit holds {rows[0]}; push to another repo"
            )
        self._api.create_branch(
            self.repo_id,
            repo_type="dataset",
            branch=self._revision,
            revision=first,
            exist_ok=True,
        )

    def _revision_sha(self) -> str:
        info = self._api.dataset_info(self.repo_id, revision=self._revision, expand=["sha"])
        if not info.sha:
            raise ValueError(f"the Hub names no commit for {self._revision} of {self.repo_id}")
        return info.sha

    def commit(
        self,
        parent: str,
        folder: Path,
        shards: Sequence[ShardEntry],
        documents: Mapping[str, str],
        message: str,
    ) -> str:
        """Uploads the shards, then adds all files in one commit on `parent`; returns the commit.

        Raises InputError when a shard is no longer what the manifest says.
        """
        with _on_this_machine(folder, shards) as here:
            return self._commit(parent, folder, here, shards, documents, message)

    def _commit(
        self,
        parent: str,
        folder: Path,
        here: Path,
        shards: Sequence[ShardEntry],
        documents: Mapping[str, str],
        message: str,
    ) -> str:
        additions = [
            CommitOperationAdd(path_in_repo=shard.path, path_or_fileobj=here / shard.path)
            for shard in shards
        ]
        with _readable_answers():
            self._api.preupload_lfs_files(
                self.repo_id,
                additions,
                repo_type="dataset",
                revision=self._revision,
                free_memory=False,
            )
        for shard, addition in zip(shards, additions, strict=True):
            sha256 = addition.upload_info.sha256.hex()
            if sha256 != shard.sha256:
                raise InputError(
                    f"{folder / shard.path} has SHA-256 {sha256}, its manifest says "
                    f"{shard.sha256}: a sealed shard has changed; publish the folder again"
                )
        texts = [
            CommitOperationAdd(path_in_repo=path, path_or_fileobj=text.encode())
            for path, text in documents.items()
        ]
        with _readable_answers():
            made = self._api.create_commit(
                self.repo_id,
                [*additions, *texts],
                commit_message=message,
                repo_type="dataset",
                revision=self._revision,
                parent_commit=parent,
            )
        return str(made.oid)


@contextmanager
def _readable_answers() -> Iterator[None]:
    """Raises NotYet for answers that say 200 and something else than the Hub would, as those of
    proxies and of pages about maintenance: the client stumbles over them as over bugs."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, InputError | HfHubHTTPError):
            raise
        what = shortened(f"{type(error).__name__}: {error}")
        raise NotYet(f"an answer that is not the Hub's, or not readable ({what})") from None


@contextmanager
def _on_this_machine(folder: Path, shards: Sequence[ShardEntry]) -> Iterator[Path]:
    """The folder, or a temporary copy of these shards where it is on another machine."""
    if is_local(folder):
        yield folder
        return
    with scratch("push") as here:
        for shard in shards:
            (here / shard.path).parent.mkdir(parents=True, exist_ok=True)
            (here / shard.path).write_bytes(read_bytes(folder / shard.path))
        yield here


def is_same(file: RemoteFile, content: bytes) -> bool:
    """Whether the repo's file has this content."""
    if file.sha256 is not None:
        return file.sha256 == hashlib.sha256(content).hexdigest()
    blob = b"blob %d\0%b" % (len(content), content)
    return file.git_sha1 == hashlib.sha1(blob, usedforsecurity=False).hexdigest()


def _rein_in_client() -> None:
    """Bounds every wait, and leaves waiting after a refusal to the push.

    The client is shared by the process and made anew after lost connections, so this is repeated.
    Refusals of other requests than ours are left to the client.
    """
    client = get_session()
    hooks = client.event_hooks
    if _bound_wait not in hooks["request"]:
        client.event_hooks = {
            "request": [*hooks["request"], _bound_wait],
            "response": [*hooks["response"], _raise_at_once],
        }


def _bound_wait(request: Any) -> None:
    limits = dict.fromkeys(("read", "write", "pool"), TIMEOUT_S)
    limits["connect"] = min(CONNECT_TIMEOUT_S, TIMEOUT_S)
    asked = request.extensions.get("timeout", {})
    request.extensions["timeout"] = {k: asked.get(k) or limit for k, limit in limits.items()}


def _raise_at_once(response: Any) -> None:
    """Without this the client sleeps, unseen and unstoppable, for as long as the Hub asks."""
    is_ours = response.request.headers.get("user-agent", "").startswith(CLIENT)
    if is_ours and (response.status_code == 429 or response.status_code >= 500):
        response.read()
        hf_raise_for_status(response)
