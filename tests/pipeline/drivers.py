"""The command line on scripted engines, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from schemas.manifest import Manifest, read_manifest
from tests.pipeline.scripted_job import SETTINGS

ROOT = Path(__file__).parents[2]
Driver = subprocess.Popen[str]


def started(*arguments: object, env: Mapping[str, str] | None = None, **settings: Any) -> Driver:
    """`prm-factory` with these arguments; `settings` are the scripted engine's."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.pipeline.scripted_job", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **(env or {}), SETTINGS: json.dumps(settings), "COLUMNS": "200"},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def labelling(job: Path, out: object, **options: Any) -> Driver:
    """`prm-factory label JOB --out OUT`."""
    return started("label", job, "--out", out, **options)


def ended(driver: Driver, timeout_s: float = 500) -> tuple[int, str]:
    """Exit code and all that was said, errors last."""
    out, err = driver.communicate(timeout=timeout_s)
    return driver.returncode, out + err


def finished(driver: Driver) -> str:
    """What was said by a command that ends well."""
    code, said = ended(driver)
    assert code == 0, said[-2_000:]
    return said


def killed(driver: Driver) -> None:
    """With everything it has started."""
    os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()


def eventually(holds: Callable[[], object], driver: Driver) -> None:
    """Waits for it while the driver runs; whether it came true is the test's to look at."""
    deadline_s = time.monotonic() + 500
    while not holds() and driver.poll() is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def manifest_in(out: Path) -> Manifest:
    """Of the job's dataset."""
    found = read_manifest(out / "dataset")
    assert found is not None
    return found
