"""Commands that bring datasets to the Hub."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from factory.cli.app import app, out, print_error, say


@app.command()
def push(
    folder: Annotated[str, typer.Argument(help="A job's folder, or a dataset's.")],
    repo: Annotated[str, typer.Argument(help="Dataset repository on the Hub: org/name.")],
    private: Annotated[
        bool | None,
        typer.Option(help="If the repository has to be made; by default as its owner's are."),
    ] = None,
    revision: Annotated[str, typer.Option(help="Branch to commit to.")] = "main",
    follow: Annotated[
        bool, typer.Option(help="Push what a running job seals until it is complete.")
    ] = False,
) -> None:
    """Push a dataset to the Hub: what is missing there, each shard once. Run it again to go on."""
    from factory.hub import is_complete
    from factory.hub import push as run
    from factory.places import place_of
    from factory.report.push import Driver, push_line, unfinished_line
    from factory.report.show import dataset_of, open_dataset
    from factory.watching.pushing import push_seen

    if follow:
        dataset = dataset_of(place_of(folder))
    else:
        dataset, _ = open_dataset(place_of(folder))
    driver = Driver(place_of(folder), say)
    with out.status(f"pushing to {repo}") as status, push_seen(place_of(folder)) as events:

        def watch(state: Any) -> None:
            events.read(state)
            if follow:
                driver.look()
            status.update(escape(push_line(state)))

        state = run(
            dataset,
            repo,
            revision=revision,
            is_private=private,
            is_complete=(lambda: is_complete(dataset)) if follow else lambda: True,
            watch=watch,
        )
    if not state.is_finished:
        print_error(unfinished_line(state, folder))
        raise typer.Exit(1)
    out.print(f"{state.pushed:,} shards in {repo}, {state.num_commits:,} commits made")
