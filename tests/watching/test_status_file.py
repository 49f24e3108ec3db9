"""The status goes through its file unchanged, and tells no secret."""

import json
from pathlib import Path

import pytest

from factory.errors import InputError
from factory.watching.status import State
from factory.watching.status_file import STATUS_FILE, read_status, write_status
from tests.watching.builders import job, stage
from workers.tally import FailedGroup


def test_a_status_comes_back_as_it_was(tmp_path: Path) -> None:
    failed = (FailedGroup(problem_id="p1", reason="KeyError: é"),)
    one = stage(recent_failures=failed, drop_reasons={"too long": 2}, engine_starts_s=(1.5, 2.0))
    status = job(stages=(one, stage(name="critique", left_s=3.5)), state=State.FAILED, error="x")
    write_status(tmp_path, status)
    assert read_status(tmp_path) == status
    assert [file.name for file in tmp_path.iterdir()] == [STATUS_FILE]


def test_errors_in_it_hold_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefgh12345678")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", 'with"quote\\and/slash')
    text = 'GET https://me:pass-word@host/x with hf_abcdefgh12345678 and with"quote\\and/slash'
    write_status(tmp_path, job(state=State.FAILED, error=text))
    assert read_status(tmp_path).error == "GET https://***@host/x with *** and ***"
    assert "abcdefgh" not in (tmp_path / STATUS_FILE).read_text()


def test_a_folder_without_a_status_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no status.json: give the folder of a job"):
        read_status(tmp_path)


def test_a_status_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / STATUS_FILE).write_text(json.dumps({"digest": "x"}))
    with pytest.raises(InputError, match="written by another version"):
        read_status(tmp_path)
