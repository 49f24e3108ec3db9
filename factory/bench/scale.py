"""How many engines one driver can lead, and how many problems it can keep the books of.

The pipeline is the real one: Ray Data, workers, programs, planner, grader, files. The engines are
simulated (`simulated_engine`): they take the time of an engine and compute nothing, and where there
is processor time to spare that time passes faster. So what is measured is everything else: the
driver, Ray's own processes, planning and posterior, writing and publishing.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from factory.bench.report import write_report
from factory.bench.scale_run import Run
from factory.bench.simulated_engine import Speed

TARGET_MS = 0.2
"""Driver and planning, per rollout."""
TARGET_CORES = 0.5
"""Driver, with 64 engines."""
PROBLEMS_PER_ENGINE = {1: 32, 8: 16, 64: 8}
TIME_SCALES = {1: 16.0, 8: 4.0, 64: 1.0}
"""As many tokens a second as two cores can answer for."""
BOOKS_SPEED = Speed(num_slots=4096, tokens_per_s=1e6, tokens_per_s_alone=1e5)
NUM_BOOKED = 10_000
"""Through the whole pipeline."""
NUM_INDEXED = (100_000, 1_000_000)


def measure(folder: Path) -> None:
    """Runs everything and writes `scale.json`."""
    engines = [
        _run(
            folder / f"engines-{n}",
            Run(
                num_processes=n,
                num_problems=n * PROBLEMS_PER_ENGINE[n],
                speed=Speed(time_scale=TIME_SCALES[n]),
                is_adaptive=True,
            ),
        )
        for n in PROBLEMS_PER_ENGINE
    ]
    for found in engines:
        _print_engines(found)
    books = _run(
        folder / "books",
        Run(num_processes=4, num_problems=NUM_BOOKED, speed=BOOKS_SPEED, is_adaptive=False),
    )
    _print_books(books)
    indexes = [_index(folder / "index", num_problems) for num_problems in NUM_INDEXED]
    for index in indexes:
        print(
            f"index of {index['num_problems']:,} problems: {index['index_mb']:.0f} MB, "
            f"{index['write_slices_s']:.0f} s of processor time to write them, "
            f"{index['index_stored_s']:.0f} s to read what is stored"
        )
    most = engines[-1]
    ceilings = _ceilings(most)
    first = min(ceilings, key=lambda name: ceilings[name])
    print(
        "first bottleneck: "
        + ", ".join(f"{name} {rate:,.0f} rollouts/s" for name, rate in sorted(ceilings.items()))
    )
    figures = {
        "engines": engines,
        "books": books,
        "index": indexes,
        "ceilings_rollouts_per_s": ceilings,
        "first_bottleneck": first,
        "driver_and_planning_ms_per_rollout": _driver_and_planning_ms(most),
        "driver_cores": most["driver_cores"],
        "is_within_targets": _driver_and_planning_ms(most) <= TARGET_MS
        and most["driver_cores"] <= TARGET_CORES,
    }
    write_report("scale", figures)


def _ceilings(found: dict[str, Any]) -> dict[str, float]:
    """Rollouts a second at which each part would be busy all the time.

    What the driver does in threads (following, reading what is stored, sealing) shares one
    interpreter, so it has one core; every worker has a core beside its engine.
    """
    return {
        "driver": 1000 / found["driver_ms_per_completion"],
        "raylet and control store": 1000 / found["ray_ms_per_completion"],
        "workers": 1000 * found["num_engines"] / found["worker_ms_per_completion"],
    }


def _driver_and_planning_ms(found: dict[str, Any]) -> float:
    return float(found["driver_ms_per_completion"] + found["planning_ms_per_completion"])


def _run(folder: Path, what: Run) -> dict[str, Any]:
    return _in_a_process("factory.bench.scale_run", folder, json.dumps(asdict(what)))


def _index(folder: Path, num_problems: int) -> dict[str, Any]:
    return _in_a_process("factory.bench.scale_index", folder, str(num_problems))


def _in_a_process(module: str, folder: Path, argument: str) -> dict[str, Any]:
    """In a process of its own, whose processor time and memory are the driver's."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", module, str(folder), argument]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    shutil.rmtree(folder)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _rows_per_s(found: dict[str, Any]) -> float:
    """Of one process's time: evidence read, labelled, made into rows and written."""
    return float(found["num_rows"] / found["publishing_cpu_s"])


def _print_engines(found: dict[str, Any]) -> None:
    print(
        f"{found['num_engines']:3} engines, {found['completions_per_s']:,.0f} rollouts/s, "
        f"{found['tokens_per_s']:,.0f} tokens/s: driver {found['driver_cores']:.3f} cores, "
        f"{found['driver_ms_per_completion']:.3f} ms a rollout; planning "
        f"{found['planning_ms_per_completion']:.3f} ms; driver and planning "
        f"{_driver_and_planning_ms(found):.3f} ms; Ray's own processes {found['ray_cores']:.3f} "
        f"cores; worker in all {found['worker_ms_per_completion']:.2f} ms; "
        f"driver {found['driver_rss_mb']:.0f} MB; {_rows_per_s(found):,.0f} rows published a second"
    )


def _print_books(found: dict[str, Any]) -> None:
    problems = found["num_problems"]
    print(
        f"{problems:,} problems: {problems / found['prepare_s']:,.0f} a second read, checked and "
        f"stored; {problems / found['stage_s']:,.0f} a second through the stage; "
        f"{_rows_per_s(found):,.0f} rows published a second of processor time; again with nothing "
        f"to do {found['again_s']:.0f} s; {found['num_files']:,} files; driver "
        f"{found['driver_peak_rss_mb']:.0f} MB at most, {found['driver_cpu_s']:.0f} s of "
        "processor time"
    )
