"""Commands that bring datasets to the Hub."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from factory.cli.app import app, out, print_error


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(help="A finished job's folder, or a dataset's.")],
    repo: Annotated[str, typer.Argument(help="Dataset repository on the Hub: org/name.")],
    private: Annotated[bool, typer.Option(help="If the repository has to be made.")] = False,
    revision: Annotated[str, typer.Option(help="Branch to commit to.")] = "main",
) -> None:
    """Push a dataset to the Hub: what is missing there, each shard once. Run it again to go on."""
    from factory.hub import push as run
    from factory.hub.state import PushState
    from factory.report.show import open_dataset
    from factory.watching.pushing import push_seen

    dataset, _ = open_dataset(folder)
    with out.status(f"pushing to {repo}") as status, push_seen(folder) as events:

        def watch(state: PushState) -> None:
            events.read(state)
            status.update(
                f"{repo}: {state.pushed} of {state.pushed + state.pending} shards there"
                + (f", {escape(state.last_error)}" if state.last_error else "")
            )

        state = run(dataset, repo, revision=revision, is_private=private, watch=watch)
    if not state.is_finished:
        print_error(f"{state.last_error}: {state.pushed} shards are there, run it again to go on")
        raise typer.Exit(1)
    out.print(f"{state.pushed:,} shards in {repo}, {state.num_commits:,} commits made")
