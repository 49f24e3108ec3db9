"""`python -m factory.bench [part ...]`: all benchmarks, or the named ones."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

SCRATCH = Path("build/bench/scratch")


def _saturation() -> None:
    from factory.bench.saturation import measure

    shutil.rmtree(SCRATCH / "saturation", ignore_errors=True)
    measure(SCRATCH / "saturation")


def _grader() -> None:
    from factory.bench.grader import main

    main([])


def _labels() -> None:
    from factory.bench.labels import measure

    measure(SCRATCH)


def _sandbox() -> None:
    from factory.bench.sandbox import measure

    measure()


def _consensus() -> None:
    from factory.bench.consensus import measure

    measure(SCRATCH / "consensus")


def _scale() -> None:
    from factory.bench.scale import measure

    measure(SCRATCH / "scale")


def _training() -> None:
    from factory.bench.training import measure

    measure(SCRATCH)


def _training_speed() -> None:
    from factory.bench.train_speed import measure

    measure()


PARTS: dict[str, Callable[[], None]] = {
    "saturation": _saturation,
    "grader": _grader,
    "labels": _labels,
    "sandbox": _sandbox,
    "consensus": _consensus,
    "scale": _scale,
    "training": _training,
    "training-speed": _training_speed,
}
BY_NAME = ("training-speed",)
"""Not run with all others: it needs a GPU."""

if __name__ == "__main__":
    wanted = sys.argv[1:] or [name for name in PARTS if name not in BY_NAME]
    if unknown := [name for name in wanted if name not in PARTS]:
        sys.exit(f"unknown benchmark {unknown[0]!r}: known are {', '.join(PARTS)}")
    for name in wanted:
        print(f"\n{name}")
        PARTS[name]()
