"""Drivers of scripted jobs as processes of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from schemas.manifest import Manifest, read_manifest

ROOT = Path(__file__).parents[2]


def started(out: object, problems: object, *settings: str, **env: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.pipeline.scripted_job", str(out), str(problems)]
    return subprocess.Popen(
        [*command, *settings], cwd=ROOT, env={**os.environ, **env}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finished(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err[-2_000:]
    return out


def eventually(holds: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline_s = time.monotonic() + 240
    while not holds() and process.poll() is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def manifest_in(out: Path) -> Manifest:
    found = read_manifest(out / "dataset")
    assert found is not None
    return found
