"""`prm-factory train`: every setting can be given, and a mistake is one line."""

import inspect
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from factory.cli import main
from factory.cli.train import train as command
from factory.training.prm_file import read_prm_file
from factory.training.settings import TrainSettings
from tests.training.builders import oracle_rows, write_rows


def test_the_command_has_an_option_for_every_setting_with_its_default() -> None:
    options = inspect.signature(command).parameters
    not_asked = {"max_grad_norm", "shuffle_buffer", "model_revision"}
    for entry in fields(TrainSettings):
        if entry.name in not_asked:
            continue
        option = options["out_folder" if entry.name == "out" else entry.name]
        if entry.name not in ("data", "model", "out"):
            assert option.default == entry.default, entry.name
    assert len(options) == len(fields(TrainSettings)) - len(not_asked)


def test_the_command_trains_and_says_what_became_of_the_rows(
    tmp_path: Path,
    tiny_model: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    rows = [*oracle_rows(8), {"prompt": "q", "completions": ["<extra_0>"], "labels": [True]}]
    data = write_rows(tmp_path / "rows.parquet", rows)
    arguments = ["train", "--data", data, "--model", tiny_model, "--out", str(tmp_path / "prm")]

    def run(*more: str) -> int:
        monkeypatch.setattr(sys, "argv", ["prm-factory", *arguments, *more])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0)

    assert run("--batch-size", "6") == 2
    assert "error: --batch-size 6 is no multiple of 4" in " ".join(capfd.readouterr().err.split())
    assert run("--batch-size", "4", "--after-error", "keep") == 0
    said = capfd.readouterr().out
    assert "9 rows read, 8 examples" in said
    assert "rows dropped: the separator in its text: 1" in said
    prm = read_prm_file(tmp_path / "prm")
    assert prm is not None
    assert prm.settings["after_error"] == "keep"
