"""Commands that read and write other formats."""

from pathlib import Path
from typing import Annotated

import typer

from factory.cli.app import app, print_lines


@app.command()
def export(
    folder: Annotated[str, typer.Argument(help="A job's folder, or a dataset's.")],
    to: Annotated[str, typer.Option("--to", help="trl, math-shepherd, processbench, ...")],
    file: Annotated[Path, typer.Option("--out", "-o", help="A .jsonl or .parquet file.")],
) -> None:
    """Write published labels in another format, and say what it cannot hold."""
    from factory.convert import export_dataset
    from factory.places import place_of

    print_lines(export_dataset(place_of(folder), to, file).lines())


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="A JSONL, JSON or Parquet file, or a folder.")],
    from_: Annotated[str, typer.Option("--from", help="prm800k, math-shepherd, trl, ...")],
    file: Annotated[Path, typer.Option("--out", "-o", help="A .jsonl or .parquet file.")],
    to: Annotated[str, typer.Option(help="problems (for a job), labelled, or a format.")] = (
        "problems"
    ),
    neutral: Annotated[
        str | None, typer.Option(help="What PRM800K's rating 0 means: good, bad or none.")
    ] = None,
    alternatives: Annotated[
        bool, typer.Option(help="PRM800K: each rated completion ends a solution of its own.")
    ] = False,
) -> None:
    """Read step labels of another format, as problems for a job or in a further format."""
    from factory.convert import import_file
    from factory.places import place_of

    found = import_file(
        place_of(source), from_, file, to=to, neutral=neutral, alternatives=alternatives
    )
    print_lines(found.lines())
