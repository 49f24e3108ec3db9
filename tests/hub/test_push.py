"""Pushing to a local Hub through the real client, in this process."""

import errno
import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import InputError
from factory.hub.push import check_access
from factory.hub.state import PushState
from tests.hub.faults import Fault
from tests.hub.folders import empty_folder, hashes, manifest_in, write_documents
from tests.hub.protocol import TOKEN, Hub
from tests.hub.pusher import QUICK
from tests.hub.quick import (
    COMMIT,
    REPO,
    Clock,
    assert_pushed_once,
    folder_of,
    push_quickly,
    shards_of,
)
from tests.hub.repos import File, Repo


def test_a_finished_folder_is_pushed_in_batches(tmp_path: Path, hub: Hub) -> None:
    folder = folder_of(tmp_path, 10)
    state = push_quickly(folder, hub)
    assert (state.pushed, state.pending, state.num_commits) == (10, 0, 3)
    assert state.is_finished
    assert (state.last_error, state.next_try) == (None, None)
    assert_pushed_once(folder, hub.repos[REPO])


def test_every_commit_holds_the_card_and_a_manifest_of_just_its_shards(
    tmp_path: Path, hub: Hub
) -> None:
    folder = folder_of(tmp_path, 10)
    push_quickly(folder, hub)
    _, *commits = hub.repos[REPO].commits.values()
    for commit in commits:
        listed = json.loads(commit.files["manifest.json"].content)["shards"]
        assert {s["path"] for s in listed} == {p for p in commit.files if p.startswith("data/")}
        growing = b"> Growing:" in commit.files["README.md"].content
        assert growing == (commit is not commits[-1])


def test_a_second_run_pushes_nothing(tmp_path: Path, hub: Hub) -> None:
    folder = folder_of(tmp_path, 3)
    push_quickly(folder, hub)
    hub.requests.clear()
    state = push_quickly(folder, hub)
    assert (state.pushed, state.num_commits, state.is_finished) == (3, 0, True)
    assert [request.split("/")[-2] for request in hub.requests] == ["revision", "tree"]


def test_a_changed_card_alone_is_pushed(tmp_path: Path, hub: Hub) -> None:
    folder = folder_of(tmp_path, 3)
    push_quickly(folder, hub)
    with (folder / "README.md").open("a", encoding="utf-8") as file:
        file.write("Audited.\n")
    assert push_quickly(folder, hub).num_commits == 1
    assert_pushed_once(folder, hub.repos[REPO])


@pytest.mark.parametrize("status", [None, 500, 504, 409])
def test_a_commit_whose_answer_was_lost_is_found_and_not_made_again(
    tmp_path: Path, hub: Hub, status: int | None
) -> None:
    folder = folder_of(tmp_path, 3)
    hub.faults.script = [(COMMIT, Fault(status=status, is_after=True))]
    state = push_quickly(folder, hub)
    assert (state.pushed, state.num_commits, state.is_finished) == (3, 0, True)
    assert len(hub.repos[REPO].commits) == 2
    assert_pushed_once(folder, hub.repos[REPO])


@pytest.mark.parametrize("body", [b'{"message": "maintenance"}', b"[1]", b"<html>", b"null"])
@pytest.mark.parametrize(
    "where", ["GET .*/revision/", "GET .*/tree/", "POST .*/preupload/", "POST .*batch", COMMIT]
)
def test_an_answer_that_is_not_the_hubs_is_asked_for_again(
    tmp_path: Path, hub: Hub, where: str, body: bytes
) -> None:
    folder = folder_of(tmp_path, 3)
    hub.faults.script = [(where, Fault(status=200, body=body))]
    states: list[PushState] = []
    assert push_quickly(folder, hub, watch=states.append).is_finished
    assert states[0].last_error is not None
    assert_pushed_once(folder, hub.repos[REPO])


def test_a_commit_that_never_answers_is_given_up_and_looked_for(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factory.hub.remote.TIMEOUT_S", 0.3)
    folder = folder_of(tmp_path, 3)
    hub.faults.script = [(COMMIT, Fault(is_after=True, hang_s=1.0))]
    states: list[PushState] = []
    assert push_quickly(folder, hub, watch=states.append).is_finished
    assert "ReadTimeout" in str(states[0].last_error)
    assert_pushed_once(folder, hub.repos[REPO])


def test_a_foreign_commit_in_between_is_kept_and_the_push_goes_on(tmp_path: Path, hub: Hub) -> None:
    folder = folder_of(tmp_path, 6)
    repo = hub.repos[REPO] = Repo()

    class Foreigner:
        """Commits to main whenever the pusher has read the head."""

        def __init__(self) -> None:
            self.left = 2

        def next(self, request: str) -> None:
            if self.left and "/tree/" in request:
                self.left -= 1
                repo.commit("main", {f"notes-{self.left}.md": File(b"mine", False)}, "notes")

    hub.faults = Foreigner()  # type: ignore[assignment]
    states: list[PushState] = []
    push_quickly(folder, hub, watch=states.append)
    assert [s.last_error is not None and "HTTP 412" in s.last_error for s in states[:2]] == [
        True
    ] * 2
    assert {"notes-0.md", "notes-1.md"} < repo.files.keys()
    assert_pushed_once(folder, repo)


def test_a_different_file_under_a_shards_name_stops_the_push(tmp_path: Path, hub: Hub) -> None:
    folder = folder_of(tmp_path, 2)
    repo = hub.repos[REPO] = Repo()
    theirs = File(b"another", True)
    repo.commit("main", {"data/train-00001.parquet": theirs}, "theirs")
    with pytest.raises(InputError) as stopped:
        push_quickly(folder, hub)
    assert theirs.sha256 in str(stopped.value)
    assert hashes(folder)["data/train-00001.parquet"] in str(stopped.value)
    assert shards_of(repo) == {"data/train-00001.parquet": theirs.sha256}


def test_a_shard_that_was_corrected_is_no_reason_not_to_start_the_job(
    tmp_path: Path, hub: Hub
) -> None:
    folder = folder_of(tmp_path, 2)

    def trouble() -> str | None:
        return check_access(folder, REPO, token=TOKEN, endpoint=hub.url)

    assert trouble() is None
    push_quickly(folder, hub)
    assert trouble() is None
    shutil.rmtree(folder)
    folder_of(tmp_path, 2)
    assert "has another data/train-00000.parquet" in str(trouble())


def test_a_job_that_has_nothing_yet_does_not_start_on_a_repo_with_rows(
    tmp_path: Path, hub: Hub
) -> None:
    push_quickly(folder_of(tmp_path, 1), hub)
    with pytest.raises(InputError, match="has published nothing yet: push to another repo"):
        check_access(tmp_path / "other", REPO, token=TOKEN, endpoint=hub.url)


def test_shards_of_another_dataset_are_not_mixed_in(tmp_path: Path, hub: Hub) -> None:
    folder = folder_of(tmp_path, 2)
    repo = hub.repos[REPO] = Repo()
    repo.commit("main", {"data/train-00007.parquet": File(b"another", True)}, "theirs")
    with pytest.raises(InputError, match=r"train-00007\.parquet, which the manifest .* not list"):
        push_quickly(folder, hub)


def test_a_shard_stored_as_a_plain_file_is_known_by_its_git_hash(tmp_path: Path, hub: Hub) -> None:
    folder = folder_of(tmp_path, 2)
    path = "data/train-00000.parquet"
    repo = hub.repos[REPO] = Repo()
    repo.commit("main", {path: File((folder / path).read_bytes(), False)}, "theirs")
    assert push_quickly(folder, hub).is_finished
    assert_pushed_once(folder, repo)


def test_a_sealed_shard_that_changed_is_not_pushed(tmp_path: Path, hub: Hub) -> None:
    folder = folder_of(tmp_path, 2)
    (folder / "data/train-00001.parquet").write_bytes(b"damaged")
    with pytest.raises(InputError, match="a sealed shard has changed") as stopped:
        push_quickly(folder, hub)
    assert hashlib.sha256(b"damaged").hexdigest() in str(stopped.value)
    assert shards_of(hub.repos[REPO]) == {}


def test_nothing_is_committed_before_the_first_shard(tmp_path: Path, hub: Hub) -> None:
    folder = empty_folder(tmp_path / "dataset")
    state = push_quickly(folder, hub, is_complete=lambda: False, wait=lambda seconds: True)
    assert (state.pushed, state.is_finished, state.last_error) == (0, False, None)
    assert len(hub.repos[REPO].commits) == 1
    with pytest.raises(InputError, match="lists no Parquet shards"):
        push_quickly(folder, hub)


def test_a_branch_and_a_private_repo_are_made_where_absent(tmp_path: Path, hub: Hub) -> None:
    folder = folder_of(tmp_path, 2)
    assert push_quickly(folder, hub, revision="run-2", is_private=True).is_finished
    repo = hub.repos[REPO]
    assert repo.is_private
    assert shards_of(repo) == {}
    assert hashes(folder).keys() < repo.commits[repo.branches["run-2"]].files.keys()


def test_another_dataset_finds_room_on_a_new_branch(tmp_path: Path, hub: Hub) -> None:
    push_quickly(folder_of(tmp_path, 7), hub)
    repo = hub.repos[REPO]
    before = shards_of(repo)
    other = folder_of(tmp_path / "other", 2)
    with pytest.raises(InputError, match="push to another repo or revision"):
        push_quickly(other, hub)
    assert push_quickly(other, hub, revision="v2").is_finished
    on_branch = repo.commits[repo.branches["v2"]].files
    assert {p: f.sha256 for p, f in on_branch.items() if p.startswith("data/")} == hashes(other)
    assert shards_of(repo) == before


def test_a_branch_that_could_not_begin_empty_is_not_made(tmp_path: Path, hub: Hub) -> None:
    repo = hub.repos[REPO] = Repo()
    repo.branches.clear()
    repo.commit("main", {"data/train-00000.parquet": File(b"theirs", True)}, "all at once")
    with pytest.raises(InputError, match=r"first commit holds data/train-00000\.parquet; push to"):
        push_quickly(folder_of(tmp_path, 2), hub, revision="v2")
    assert {*repo.branches} == {"main"}


@pytest.mark.parametrize(
    ("option", "is_private"), [([], True), (["--no-private"], False), (["--private"], True)]
)
def test_a_new_repo_is_as_private_as_its_owner_wants_unless_told_otherwise(
    tmp_path: Path, hub: Hub, client_env: dict[str, str], option: list[str], is_private: bool
) -> None:
    hub.private.add("org")
    folder = folder_of(tmp_path, 1)
    write_documents(folder, replace(manifest_in(folder), summary={"num_problems": 1}))
    command = [sys.executable, "-m", "factory.cli", "push", str(folder), REPO, *option]
    subprocess.run(command, env=client_env, check=True, capture_output=True, timeout=60)
    assert hub.repos[REPO].is_private is is_private


def test_a_tree_of_many_pages_is_read_whole(tmp_path: Path, hub: Hub) -> None:
    hub.page_size = 3
    folder = folder_of(tmp_path, 10)
    push_quickly(folder, hub)
    assert push_quickly(folder, hub).num_commits == 0
    assert_pushed_once(folder, hub.repos[REPO])


def test_a_shard_that_vanished_from_the_repo_is_not_added_twice(tmp_path: Path, hub: Hub) -> None:
    folder = folder_of(tmp_path, 8)
    clock = Clock()
    rhythm = replace(QUICK, patience_s=5.0)

    def forget(state: PushState) -> None:
        if state.num_commits == 1 and state.last_error is None:
            repo = hub.repos[REPO]
            del repo.commits[repo.branches["main"]].files["data/train-00000.parquet"]

    state = push_quickly(folder, hub, rhythm=rhythm, watch=forget, wait=clock.wait, now=clock.now)
    assert state.is_stopped
    assert "took data/train-00000.parquet and does not list it" in str(state.last_error)
    assert hub.repos[REPO].num_additions("data/train-00000.parquet") == 1


@pytest.mark.parametrize("revision", ["main", "run-2"])
def test_a_repo_or_branch_that_is_deleted_in_mid_run_is_not_made_anew(
    tmp_path: Path, hub: Hub, revision: str
) -> None:
    folder = folder_of(tmp_path, 8)
    rhythm = replace(QUICK, patience_s=5.0)

    def delete(state: PushState) -> None:
        if state.num_commits == 1 and REPO in hub.repos:
            hub.repos[REPO].branches.pop("run-2", None)
            if revision == "main":
                del hub.repos[REPO]

    options = {"revision": revision, "rhythm": rhythm, "is_private": True}
    state = push_quickly(folder, hub, watch=delete, **options)
    assert state.is_stopped
    assert "is not made anew while a push runs: bring it back" in str(state.last_error)
    assert [r.branches.keys() for r in hub.repos.values()] == [{"main"}] * (revision != "main")


def test_a_shard_that_the_repo_holds_is_not_looked_for_in_the_folder_again(
    tmp_path: Path, hub: Hub
) -> None:
    folder = folder_of(tmp_path, 8)
    states: list[PushState] = []

    def remove(state: PushState) -> None:
        states.append(state)
        if state.num_commits == 1:
            (folder / "data/train-00000.parquet").unlink(missing_ok=True)

    assert push_quickly(folder, hub, watch=remove).is_finished
    assert [state.last_error for state in states] == [None] * len(states)
    assert_pushed_once(folder, hub.repos[REPO])


def test_a_manifest_that_cannot_be_read_for_a_moment_is_read_again(
    tmp_path: Path, hub: Hub
) -> None:
    folder = folder_of(tmp_path, 2)
    answers: list[bool | OSError] = [False, OSError(errno.ESTALE, "Stale file handle"), True]
    states: list[PushState] = []

    def is_complete() -> bool:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    assert push_quickly(folder, hub, is_complete=is_complete, watch=states.append).is_finished
    assert any("Stale file handle" in str(state.last_error) for state in states)
    assert_pushed_once(folder, hub.repos[REPO])


def test_a_job_that_ends_with_other_documents_pushes_these_last(tmp_path: Path, hub: Hub) -> None:
    folder = folder_of(tmp_path, 2)

    def is_complete() -> bool:
        if REPO in hub.repos and shards_of(hub.repos[REPO]):
            write_documents(folder, replace(manifest_in(folder), seed=8))
            return True
        return False

    assert push_quickly(folder, hub, is_complete=is_complete).num_commits == 2
    assert_pushed_once(folder, hub.repos[REPO])
