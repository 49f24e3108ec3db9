"""`prm-factory watch`: a job that runs elsewhere, from the status in its folder."""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from factory.report.stage_lines import headline, stage_rows, trouble_lines
from factory.watching.status import JobStatus, State
from factory.watching.status_file import read_status

REFRESH_S = 2.0


def watch(console: Console, folder: Path, *, is_once: bool) -> None:
    """Draws the status until the job ends or its driver has fallen silent; or once.

    Where the output is no terminal it is printed once. Raises InputError where there is no status.
    """
    status = read_status(folder)
    if is_once or not console.is_terminal:
        console.print(view(status, time.time()))
        return
    with Live(view(status, time.time()), console=console, auto_refresh=False) as live:
        follow(folder, lambda status, now: live.update(view(status, now), refresh=True))


def follow(
    folder: Path,
    draw: Callable[[JobStatus, float], None],
    wait: Callable[[float], object] = time.sleep,
    now: Callable[[], float] = time.time,
) -> None:
    """Draws every new status up to the last one."""
    while True:
        status = read_status(folder)
        draw(status, now())
        if status.state is not State.RUNNING or status.silent_s(now()) is not None:
            return
        wait(REFRESH_S)


def view(status: JobStatus, now: float) -> RenderableType:
    """Everything that is known, stage by stage."""
    title = Text(f"{status.recipe} {status.digest}: {headline(status, now)}")
    title.stylize("bold")
    parts: list[RenderableType] = [title]
    for stage in status.stages:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        for name, text in stage_rows(stage):
            table.add_row(Text(name), Text(text))
        parts += [Text(f"\n{stage.name}, {stage.state}"), table]
    if status.num_shards_sealed:
        pushed = f", {status.num_shards_pushed:,} on the Hub" if status.num_shards_pushed else ""
        parts.append(Text(f"\n{status.num_shards_sealed:,} shards{pushed}"))
    troubles = [line for stage in status.stages for line in trouble_lines(stage)]
    if troubles:
        parts.append(Text("\n" + "\n".join(troubles)))
    return Group(*parts)
