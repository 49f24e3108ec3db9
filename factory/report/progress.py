"""Progress of a running stage: rows, rollouts, tokens per second, time left."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from factory.report.stage_lines import pace
from factory.report.tables import duration
from factory.watching.reader import StageReader
from factory.watching.stage_run import StageRun, Watch
from factory.watching.status import StageStatus
from workers.beside import beside

POLL_INTERVAL_S = 0.5
LINE_INTERVAL_S = 15.0
"""Between two lines where the output is no terminal."""


def watcher(console: Console) -> Watch:
    """A `Watch` for `factory.pipeline.label` that draws on this console."""

    @contextmanager
    def watch(run: StageRun) -> Iterator[None]:
        with beside("progress", partial(_follow, console, run), patience_s=10):
            yield

    return watch


def _follow(console: Console, run: StageRun, stop: threading.Event) -> None:
    if console.is_terminal:
        _follow_live(console, run, stop)
    else:
        _follow_in_lines(console, run, stop)


def _follow_live(console: Console, run: StageRun, stop: threading.Event) -> None:
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        console=console,
    )
    task = progress.add_task(f"[bold]{run.name}", total=run.num_groups, detail="starting engines")
    with Live(progress, console=console, refresh_per_second=4):
        for status in _readings(run, stop):
            progress.update(task, completed=status.num_done, detail=pace(status) + _eta(status))


def _follow_in_lines(console: Console, run: StageRun, stop: threading.Event) -> None:
    stored = f", {run.num_stored:,} stored before" if run.num_stored else ""
    _say(console, f"{run.name}: {run.num_groups:,} problems to do{stored}; starting engines")
    last_s = time.monotonic()
    for status in _readings(run, stop):
        now_s = time.monotonic()
        if now_s - last_s < LINE_INTERVAL_S and not stop.is_set():
            continue
        last_s = now_s
        done = f"{status.num_done:,} of {run.num_groups:,} problems"
        _say(console, f"{run.name}: {done}, {pace(status)}{_eta(status)}")


def _eta(status: StageStatus) -> str:
    return f", about {duration(status.left_s)} left" if status.left_s else ""


def _say(console: Console, line: str) -> None:
    """One line, however narrow the output."""
    console.print(line, soft_wrap=True, highlight=False)


def _readings(run: StageRun, stop: threading.Event) -> Iterator[StageStatus]:
    """The stage's status until told to stop, and once more after that."""
    reader = StageReader(run)
    is_last = False
    while not is_last:
        is_last = stop.wait(POLL_INTERVAL_S)
        if (reading := reader.read()) is not None:
            yield reading.status
