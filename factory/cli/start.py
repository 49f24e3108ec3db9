"""Commands to begin with."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from factory.cli.app import Out, app, out


@app.command()
def recipes() -> None:
    """List the recipes that ship with the factory."""
    from factory.recipes import load_recipe, recipe_names

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    for name in recipe_names():
        table.add_row(name, Text(load_recipe(name).summary))
    out.print(table)


@app.command()
def demo(
    out_folder: Out = "build/demo",
    problems: Annotated[int, typer.Option(help="How many toy problems to label.")] = 16,
) -> None:
    """Label problems with known truth by the tiny model that ships, and compare."""
    from factory.demo import run_demo

    run_demo(out, Path(out_folder), problems)
