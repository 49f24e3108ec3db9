"""Commands that look at a running job."""

from pathlib import Path
from typing import Annotated

import typer

from factory.cli.app import app, out


@app.command()
def watch(
    folder: Annotated[Path, typer.Argument(help="A job's folder; the job may run elsewhere.")],
    once: Annotated[bool, typer.Option("--once", help="Print the status and leave.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON and leave.")] = False,
) -> None:
    """Watch a job: progress, engines, cost, time left, what went wrong. Needs its folder only."""
    if json:
        from factory.watching.status_file import as_json, read_status

        out.print(as_json(read_status(folder)), soft_wrap=True, highlight=False, markup=False)
        return
    from factory.report.watch import watch as run

    run(out, folder, is_once=once)
