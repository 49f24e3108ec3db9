"""What every command shares: the app, its two consoles, and how a mistake is told."""

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from factory.watching.secrets import without_secrets

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Step labels for process reward models, by Monte Carlo, with their evidence.",
)
out = Console()
err = Console(stderr=True)

Out = Annotated[
    str, typer.Option("--out", "-o", help="Folder or URL for everything the job makes.")
]
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        envvar="PRM_FACTORY_ALLOW_CODE",
        help="Run code the job names: a .py recipe, a model's own, an unsafe sandbox.",
    ),
]


def print_lines(lines: Iterable[str]) -> None:
    """Line by line, as they are."""
    for line in lines:
        out.print(line, soft_wrap=True, highlight=False, markup=False)


def say(line: str) -> None:
    """A line for a person beside what a command is for: on the error stream."""
    err.print(line, soft_wrap=True, highlight=False, markup=False)


def print_error(message: str) -> None:
    """One line on the error stream, without secrets."""
    line = " ".join(without_secrets(message).split("\n"))
    err.print(f"[red]error:[/] {escape(line)}", soft_wrap=True, highlight=False)
