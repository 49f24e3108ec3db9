"""The local Hub is enough of the real one for the real client."""

from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub.protocol import TOKEN, Hub

REPO = "org/labels"


@pytest.fixture
def api(hub: Hub) -> HfApi:
    api = HfApi(endpoint=hub.url, token=TOKEN)
    api.create_repo(REPO, repo_type="dataset")
    return api


def add(api: HfApi, path: str, content: bytes, parent: str | None = None) -> str:
    addition = CommitOperationAdd(path_in_repo=path, path_or_fileobj=content)
    return api.create_commit(
        REPO, [addition], commit_message=path, repo_type="dataset", parent_commit=parent
    ).oid


def test_files_come_back_as_they_went(api: HfApi, tmp_path: Path) -> None:
    for path, content in (("data/a.parquet", b"large"), ("notes.md", b"small")):
        add(api, path, content)
        file = api.hf_hub_download(REPO, path, repo_type="dataset", local_dir=tmp_path)
        assert Path(file).read_bytes() == content
    infos = api.get_paths_info(REPO, ["data/a.parquet", "none"], repo_type="dataset")
    assert [(info.path, info.lfs is not None) for info in infos] == [("data/a.parquet", True)]  # type: ignore[union-attr]
    assert api.whoami()["name"] == "org"


def test_a_commit_on_an_old_head_is_refused(api: HfApi) -> None:
    old = str(api.dataset_info(REPO).sha)
    add(api, "a.md", b"a", parent=old)
    with pytest.raises(HfHubHTTPError, match="412"):
        add(api, "b.md", b"b", parent=old)


def test_what_is_absent_is_named_as_the_hub_names_it(api: HfApi) -> None:
    with pytest.raises(RepositoryNotFoundError):
        api.dataset_info("org/none")
    with pytest.raises(RevisionNotFoundError):
        api.dataset_info(REPO, revision="none")
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(REPO, "none", repo_type="dataset"))


def test_nothing_is_ever_deleted(api: HfApi) -> None:
    add(api, "a.md", b"a")
    with pytest.raises(HfHubHTTPError, match="deletedFile is not spoken here"):
        api.create_commit(
            REPO,
            [CommitOperationDelete(path_in_repo="a.md")],
            commit_message="delete",
            repo_type="dataset",
        )
