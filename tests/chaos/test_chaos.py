"""Processes are killed at random while a job runs; what it publishes in the end is the same.

Each seed is a run of `tests.chaos.run`, on a cluster of its own that loses nodes, and as a whole.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from factory.bench.report import write_report
from tests.chaos.run import KILLS

ROOT = Path(__file__).parents[2]
NUM_SEEDS = 24
SAME = ("same_files", "same_summary", "same_digest")
NONE_OF = ("lost", "invented", "doubled", "changed", "leftovers")
SEVERAL = 3
"""Kills of every kind, at least."""


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Ray's sockets have paths of a hundred characters at most."""
    with tempfile.TemporaryDirectory(prefix="c-", ignore_cleanup_errors=True) as folder:
        (Path(folder) / "ray").mkdir()
        yield Path(folder)


def run(folder: Path, *arguments: object, timeout_s: float) -> list[dict[str, Any]]:
    """The undisturbed run first, then one for each seed."""
    command = [sys.executable, "-m", "tests.chaos.run", str(folder / "job"), *map(str, arguments)]
    environment = os.environ | {"RAY_TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    found, said = folder / "found.jsonl", folder / "said"
    with found.open("w") as out, said.open("w") as err:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=out, stderr=err, timeout=timeout_s
        )
    assert done.returncode == 0, said.read_text()[-2000:]
    return [json.loads(line) for line in found.read_text().splitlines() if line.startswith("{")]


def assert_same(found: dict[str, Any]) -> None:
    assert {name: found[name] for name in NONE_OF} == {name: [] for name in NONE_OF}
    assert all(found[name] for name in SAME)


@pytest.mark.ray
@pytest.mark.timeout(1800)
def test_kills_of_every_process_of_a_job_change_nothing(short_folder: Path) -> None:
    """The seed draws each of the four once."""
    kinds = ("--kinds", "driver", "worker", "engine", "node")
    truth, found = run(short_folder, "--seeds", 25, "--problems", 24, *kinds, timeout_s=1700)
    assert truth["rows"] > 0
    assert sum(found["kills"].values()) > 0
    assert_same(found)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kills_of_every_kind_change_nothing(short_folder: Path) -> None:
    truth, *seeds = run(short_folder, "--seeds", 1, 2, "--problems", 24, timeout_s=1700)
    assert truth["rows"] > 0
    assert len(seeds) == 2
    for found in seeds:
        assert_same(found)


@pytest.mark.chaos
@pytest.mark.timeout(4 * 3600)
def test_a_job_survives_everything_we_can_think_of(short_folder: Path) -> None:
    started_s = time.monotonic()
    seeds = range(1, NUM_SEEDS + 1)
    truth, *found = run(short_folder, "--seeds", *seeds, timeout_s=4 * 3600)
    assert truth["rows"] > 0
    kills = sum((Counter(one["kills"]) for one in found), Counter[str]())
    write_report(
        "chaos",
        {
            "seeds": len(found),
            "kills": dict(kills),
            "endings": dict(sum((Counter(one["endings"]) for one in found), Counter[str]())),
            "rows": truth["rows"],
            **{name: sum(len(one[name]) for one in found) for name in NONE_OF},
            "runs_with_other_files": sum(not one["same_files"] for one in found),
            "seconds": time.monotonic() - started_s,
        },
    )
    assert len(found) == NUM_SEEDS
    for one in found:
        assert_same(one)
    assert {kind for kind in KILLS if kills[kind] < SEVERAL} == set()


@pytest.mark.chaos
@pytest.mark.engine
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("engine", "seed", "kinds"),
    [
        ("vllm", 5, ("driver", "worker")),
        ("vllm-in-processes", 4, ("driver", "worker", "engine", "engine stopped")),
    ],
)
def test_a_real_engine_in_float32_publishes_the_same_rows_after_kills(
    short_folder: Path, engine: str, seed: int, kinds: tuple[str, ...]
) -> None:
    """The process that an engine with GPUs depends on is killed and stopped too, here each once."""
    told = ("--engine", engine, "--seeds", seed, "--kills", 4, "--problems", 12, "--kinds", *kinds)
    truth, found = run(short_folder, *told, timeout_s=1800)
    assert truth["rows"] > 0
    assert sum(found["kills"].values()) > 0
    assert_same(found)
