"""The log is lines of JSON, those of later runs behind those of earlier ones, without a secret."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from factory.watching.events import RewrittenFile, event, logging_to
from factory.watching.secrets import without_secrets


def lines(path: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_event_is_a_line_with_its_time_and_job(tmp_path: Path) -> None:
    with logging_to(tmp_path / "log.jsonl", job="51f3"):
        event("group failed", stage="label", reason="a\nb", seconds=1.5)
    event("nobody listens")
    with logging_to(tmp_path / "log.jsonl", job="51f3"):
        event("job started")
    first, second = lines(tmp_path / "log.jsonl")
    assert datetime.fromisoformat(first.pop("time")).utcoffset() is not None
    assert first == {
        "event": "group failed",
        "job": "51f3",
        "stage": "label",
        "reason": "a\nb",
        "seconds": 1.5,
    }
    assert second["event"] == "job started"


def test_a_token_of_the_environment_never_lands_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "é1234567890")
    with logging_to(tmp_path / "log.jsonl"):
        event(
            "job failed", error="é1234567890 was refused", fields=[{"é1234567890": "hf_aaaabbbb"}]
        )
    text = (tmp_path / "log.jsonl").read_text(encoding="utf-8")
    assert "1234567890" not in text
    assert "aaaabbbb" not in text
    assert json.loads(text)["error"] == "*** was refused"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing to hide", "nothing to hide"),
        ("hf_abcdefghij", "***"),
        ("s3://AKIAIOSFODNN7EXAMPLE/x", "s3://***/x"),
        ("https://user:word@host", "https://***@host"),
        ("https://u:p/w@h/x and http://[::1]:80/y", "https://***@h/x and http://[::1]:80/y"),
        ("https://u:p@w@h", "https://***@h"),
        ("https://glpat-abc@host/x", "https://***@host/x"),
        ("http://head:8265/a, b@c", "http://head:8265/a, b@c"),
        (
            "https://b.s3/x?a=1&X-Amz-Signature=0a9f&b=2",
            "https://b.s3/x?a=1&X-Amz-Signature=***&b=2",
        ),
        ("https://h/?X-Amz-Credential=AK%2F1&sig=x%3D", "https://h/?X-Amz-Credential=***&sig=***"),
        ("https://h/?token=abc#top", "https://h/?token=***#top"),
        ("https://h/?monkey=abc&design=2", "https://h/?monkey=***&design=2"),
        ("Authorization: Bearer eyJ.x-y", "Authorization: Bearer ***"),
        ("true is true", "true is true"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert without_secrets(text, {"SOME_TOKEN": "true", "HOME": "nothing to hide"}) == shown


def test_a_store_that_cannot_append_gets_the_whole_log(tmp_path: Path) -> None:
    path = UPath("memory://log-test/log.jsonl")
    for name in ("first", "second", "third"):
        with logging_to(path) if not isinstance(path, Path) else pytest.fail("a local path"):
            event(name)
            event(f"{name} again")
    assert [line["event"] for line in lines(path)] == [
        "first", "first again", "second", "second again", "third", "third again",
    ]  # fmt: skip


def test_a_log_that_is_rewritten_begins_with_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("earlier\n")
    RewrittenFile(path).close()
    assert path.read_text() == "earlier\n"


def test_a_full_disk_ends_nothing_and_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to(Path("/dev/full")):
        event("job started")
    assert capsys.readouterr() == ("", "")
