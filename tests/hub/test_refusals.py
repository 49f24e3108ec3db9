"""What a person is told when a push cannot go on, and that no token is ever told."""

import logging
import time
import traceback
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests

from factory.errors import InputError
from factory.hub.push import push
from factory.hub.state import PushState
from factory.hub.trouble import redacted, trouble_of
from tests.hub.faults import Fault
from tests.hub.folders import empty_folder, seal_bytes
from tests.hub.protocol import TOKEN, Hub
from tests.hub.pusher import QUICK
from tests.hub.repos import Repo

REPO = "org/labels"
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = empty_folder(tmp_path / "dataset")
    seal_bytes(folder, 2)
    return folder


def push_once(folder: Path, url: str, **options: Any) -> PushState:
    """One try: the first wait ends it."""
    given = {"token": TOKEN, "rhythm": QUICK, "wait": lambda seconds: True, **options}
    return push(folder, REPO, endpoint=url, **given)


def test_a_push_without_a_token_says_how_to_get_one(folder: Path, hub: Hub) -> None:
    with pytest.raises(InputError, match="no Hub token: run `hf auth login` or set HF_TOKEN"):
        push_once(folder, hub.url, token=None)


@pytest.mark.parametrize("name", ["labels", "org/my labels", "a/b/c", "org/", "", "org/x.git"])
def test_a_name_that_is_none_is_refused(folder: Path, hub: Hub, name: str) -> None:
    with pytest.raises(InputError, match="write it as org/name"):
        push(folder, name, token=TOKEN, endpoint=hub.url)
    assert hub.requests == []


def test_a_token_the_hub_does_not_know_stops_the_push(folder: Path, hub: Hub) -> None:
    hub.token = "another"
    with pytest.raises(InputError, match=r"does not accept the token: .* \(HTTP 401"):
        push_once(folder, hub.url)


@pytest.mark.parametrize("exists", [False, True])
def test_a_token_without_the_right_stops_the_push(folder: Path, hub: Hub, exists: bool) -> None:
    hub.read_only.add("org")
    if exists:
        hub.repos[REPO] = Repo()
    with pytest.raises(InputError, match=rf"may not create or write {REPO}: use one with write"):
        push_once(folder, hub.url)


def test_an_owner_that_is_not_there_stops_the_push(folder: Path, hub: Hub) -> None:
    hub.faults.script = [("repos/create", Fault(status=404))]
    with pytest.raises(InputError, match=r"cannot create org/labels: is its owner on the Hub\?"):
        push_once(folder, hub.url)


def test_what_the_hub_calls_bad_stops_the_push(folder: Path, hub: Hub) -> None:
    hub.faults.script = [("/commit/", Fault(status=400))]
    with pytest.raises(InputError, match=r"the Hub refuses the push to .* \(HTTP 400: injected"):
        push_once(folder, hub.url)


def test_offline_mode_is_named(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="HF_HUB_OFFLINE is set: unset it to push"):
        push_once(folder, hub.url)


def test_an_unreachable_hub_is_a_state_and_no_error(folder: Path) -> None:
    states: list[PushState] = []
    start = time.monotonic()
    push_once(folder, NOBODY, watch=states.append, is_complete=lambda: False)
    assert time.monotonic() - start < 5
    assert "ConnectError" in str(states[0].last_error)
    assert states[0].next_try is not None
    assert not states[0].is_stopped


def test_patience_with_an_unreachable_hub_ends_when_the_job_is_complete(folder: Path) -> None:
    clock = iter(range(0, 10_000, 25))
    state = push_once(folder, NOBODY, now=lambda: float(next(clock)), wait=lambda seconds: False)
    assert (state.is_stopped, state.next_try) == (True, None)
    assert "ConnectError" in str(state.last_error)


def test_a_folder_without_a_dataset_is_named(tmp_path: Path, hub: Hub) -> None:
    with pytest.raises(InputError, match="lists no Parquet shards"):
        push_once(tmp_path, hub.url)


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "damaged"), ('{"shards": [{"path": "x"}]}', "damaged"), ("[]", "damaged")],
)
def test_a_damaged_manifest_is_named(folder: Path, hub: Hub, text: str, said: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=said):
        push_once(folder, hub.url)


def test_a_listed_shard_that_is_not_there_is_named(folder: Path, hub: Hub) -> None:
    (folder / "data/train-00001.parquet").unlink()
    said = "lists data/train-00001.parquet, which is not there"
    assert said in str(push_once(folder, hub.url, is_complete=lambda: False).last_error)
    with pytest.raises(InputError, match=said):
        push_once(folder, hub.url)


@pytest.mark.parametrize("name", ["manifest.json", "README.md"])
def test_documents_that_contain_the_token_are_not_pushed(folder: Path, hub: Hub, name: str) -> None:
    text = (folder / name).read_text()
    (folder / name).write_text(
        text.replace("math-verify", TOKEN) + f"<!-- {TOKEN} -->" * (name == "README.md")
    )
    with pytest.raises(InputError, match="contains the Hub token") as stopped:
        push_once(folder, hub.url)
    assert TOKEN not in str(stopped.value)
    assert REPO not in hub.repos or len(hub.repos[REPO].commits) == 1


@pytest.mark.parametrize("echo", [f"bad token {TOKEN}", ""])
@pytest.mark.parametrize("where", ["GET .*/revision/", "POST .*batch", "PUT /lfs", "/commit/"])
def test_the_token_is_in_no_state_error_log_or_output(
    folder: Path,
    hub: Hub,
    where: str,
    echo: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    for status in (400, 401, 403, 412, 429, 500, None):
        headers = {"X-Error-Message": echo}
        hub.faults.script = [(where, Fault(status=status, headers=headers))] * 7
        told += all_told(folder, hub)
    assert any("***" in text for text in told) == bool(echo)
    printed = capfd.readouterr()
    if not echo:  # httpcore logs what it receives
        told += [record.getMessage() for record in caplog.records]
    assert [text for text in [*told, *printed] if TOKEN in text] == []


def all_told(folder: Path, hub: Hub) -> list[str]:
    """What a push says in states and errors."""
    states: list[PushState] = []
    errors: list[InputError] = []
    try:
        push_once(folder, hub.url, watch=states.append)
    except InputError as error:
        errors.append(error)
    assert len([*states, *errors]) == 1
    assert [(e.__cause__, e.__context__) for e in errors] == [(None, None)] * len(errors)
    return [
        *map(repr, [*states, *errors]),
        *("".join(traceback.format_exception(e)) for e in errors),
    ]


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError(f"GET https://user:{TOKEN}@huggingface.co"),
        requests.HTTPError(f"Authorization: Bearer {TOKEN}"),
        httpx2.ConnectError(f"GET https://huggingface.co?token={TOKEN}"),
        RuntimeError({"authorization": f"Bearer {TOKEN}"}),
        ValueError(TOKEN),
        InputError(f"{TOKEN} is no name"),
    ],
)
def test_the_token_is_taken_out_of_any_error(error: Exception) -> None:
    assert TOKEN not in repr(trouble_of(error, REPO, TOKEN))
    assert TOKEN not in repr(trouble_of(error, REPO, None))


def test_tokens_of_any_shape_are_taken_out() -> None:
    assert redacted("token s3cret, Bearer eyJ.x-y and hf_abcdefgh12", "s3cret") == (
        "token ***, Bearer *** and ***"
    )


def test_passwords_of_proxies_and_signed_addresses_are_taken_out_too() -> None:
    text = "ProxyError: http://u:p/w@proxy:80, https://b.s3/x?X-Amz-Signature=abc"
    shown = "ProxyError: http://***@proxy:80, https://b.s3/x?X-Amz-Signature=***"
    assert redacted(text, "s3cret") == shown
