"""Progress of a running stage: rows, rollouts, tokens per second, time left."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as TimeRemaining

from factory.pipeline import StageRun, Watch
from workers.tally import WorkerCounts

POLL_INTERVAL_S = 0.5
LINE_INTERVAL_S = 15.0
"""Between two lines where the output is no terminal."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens per second since the first token was seen: loading a model is not part of it."""

    started_s: float
    tokens_before: int

    def per_second(self, counts: WorkerCounts, now_s: float) -> float:
        """The mean rate so far."""
        elapsed_s = now_s - self.started_s
        tokens = counts.engine.num_generated_tokens - self.tokens_before
        return tokens / elapsed_s if elapsed_s > 0 else 0.0


def watcher(console: Console) -> Watch:
    """A `Watch` for `factory.pipeline.label` that draws on this console."""

    @contextmanager
    def watch(run: StageRun) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=_follow, args=(console, run, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=10)

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
        TimeRemaining(),
        console=console,
    )
    task = progress.add_task(f"[bold]{run.name}", total=run.num_groups, detail="starting engines")
    with Live(progress, console=console, refresh_per_second=4):
        for counts, detail in _readings(run, stop, POLL_INTERVAL_S):
            _draw(progress, task, counts, detail)


def _draw(progress: Progress, task: TaskID, counts: WorkerCounts, detail: str) -> None:
    progress.update(task, completed=counts.num_groups, detail=detail)


def _follow_in_lines(console: Console, run: StageRun, stop: threading.Event) -> None:
    stored = f", {run.num_stored:,} stored before" if run.num_stored else ""
    _say(console, f"{run.name}: {run.num_groups:,} problems to do{stored}; starting engines")
    started_s = last_s = time.monotonic()
    for counts, detail in _readings(run, stop, POLL_INTERVAL_S):
        now_s = time.monotonic()
        if now_s - last_s < LINE_INTERVAL_S and not stop.is_set():
            continue
        last_s = now_s
        done = counts.num_groups
        left_s = (now_s - started_s) * (run.num_groups - done) / done if done else None
        eta = f", about {left_s:.0f} s left" if left_s else ""
        _say(console, f"{run.name}: {done:,} of {run.num_groups:,} problems, {detail}{eta}")


def _say(console: Console, line: str) -> None:
    """One line, however narrow the output."""
    console.print(line, soft_wrap=True, highlight=False)


def _readings(
    run: StageRun, stop: threading.Event, interval_s: float
) -> Iterator[tuple[WorkerCounts, str]]:
    """Counts and their description, until told to stop, and once more after that."""
    import ray

    rate: Rate | None = None
    is_last = False
    while not is_last:
        is_last = stop.wait(interval_s)
        try:
            counts: WorkerCounts = ray.get(run.tally.total.remote(), timeout=5)
        except (ray.exceptions.RayError, TimeoutError):
            continue
        now_s = time.monotonic()
        tokens = counts.engine.num_generated_tokens
        if rate is None and tokens:
            rate = Rate(now_s, tokens)
        speed = f"{rate.per_second(counts, now_s):,.0f} tokens/s" if rate else "starting engines"
        failed = f", {counts.num_failed:,} failed" if counts.num_failed else ""
        yield counts, f"{counts.engine.num_finished:,} completions, {speed}{failed}"
