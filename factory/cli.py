"""The command line: one command per verb. Bad input ends with one line and exit code 2."""

import errno
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from factory.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Step labels for process reward models, by Monte Carlo, with their evidence.",
)
out = Console()
err = Console(stderr=True)

INTERRUPTED = 130
PERSONS_ERRNOS = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR,
    errno.EISDIR, errno.ENAMETOOLONG,
}  # fmt: skip
"""What a person can do something about; any other OSError is a bug and keeps its traceback."""

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for everything the job makes.")]


@app.command()
def label(
    job: Annotated[Path, typer.Argument(help="The job file (YAML).")],
    out_folder: Out,
    evidence: Annotated[
        Path | None,
        typer.Option(help="A job's folder whose rollouts to take over, where they are the same."),
    ] = None,
) -> None:
    """Sample, estimate and publish. Run it again to go on after an interruption."""
    from factory.job import load_job
    from factory.pipeline import label as run
    from factory.report.progress import watcher
    from factory.report.show import all_failed, print_summary

    manifest = run(load_job(job), out_folder, watcher(out), evidence)
    print_summary(out, out_folder / "dataset", manifest)
    if line := all_failed(manifest.summary):
        _print_error(line)
        raise typer.Exit(1)


@app.command()
def relabel(
    folder: Annotated[Path, typer.Argument(help="A job's folder.")],
    recipe: Annotated[str, typer.Option("--recipe", "-r", help="Whose rule makes the labels.")],
    out_folder: Out,
) -> None:
    """Publish the stored evidence again under another recipe's rule; no engine is started."""
    from factory.relabel import relabel as run
    from factory.relabel import unfinished
    from factory.report.show import print_summary

    manifest = run(folder, recipe, out_folder)
    print_summary(out, out_folder / "dataset", manifest)
    if line := unfinished(folder):
        err.print(f"[yellow]note:[/] {escape(line)}", soft_wrap=True, highlight=False)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A job's folder, or a dataset's.")],
    solutions: Annotated[
        int, typer.Option("--solutions", "-n", min=0, help="How many to print.")
    ] = 3,
) -> None:
    """Print a job's summary and a few labelled solutions."""
    from factory.report.show import show as run

    run(out, folder, solutions)


@app.command()
def audit(
    folder: Annotated[Path, typer.Argument(help="A finished job's folder.")],
    steps: Annotated[int, typer.Option(min=1, help="How many steps to check, about.")] = 300,
    rollouts: Annotated[int, typer.Option(min=2, help="Fresh rollouts at every prefix.")] = 256,
) -> None:
    """Check labels drawn at random with many fresh rollouts; the card then states their error."""
    from factory.audit import audit as run
    from factory.report.audit import print_audit
    from factory.report.progress import watcher

    print_audit(out, run(folder, num_steps=steps, num_rollouts=rollouts, watch=watcher(out)))


@app.command("fit-prior")
def fit_prior(
    folder: Annotated[Path, typer.Argument(help="A job's folder with evidence.")],
    solutions: Annotated[int, typer.Option(min=1, help="Solutions to fit to, at most.")] = 2_000,
) -> None:
    """Fit the prior of the adaptive recipe to a job's counts and print it for a recipe file."""
    from factory.fit import fit_folder
    from factory.report.audit import print_fit

    print_fit(out, fit_folder(folder, solutions))


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(help="A finished job's folder, or a dataset's.")],
    repo: Annotated[str, typer.Argument(help="Dataset repository on the Hub: org/name.")],
    private: Annotated[bool, typer.Option(help="If the repository has to be made.")] = False,
    revision: Annotated[str, typer.Option(help="Branch to commit to.")] = "main",
) -> None:
    """Push a dataset to the Hub: what is missing there, each shard once. Run it again to go on."""
    from factory.hub import push as run
    from factory.report.show import open_dataset

    dataset, _ = open_dataset(folder)
    with out.status(f"pushing to {repo}") as status:
        state = run(
            dataset,
            repo,
            revision=revision,
            is_private=private,
            watch=lambda s: status.update(
                f"{repo}: {s.pushed} of {s.pushed + s.pending} shards there"
                + (f", {escape(s.last_error)}" if s.last_error else "")
            ),
        )
    if not state.is_finished:
        _print_error(f"{state.last_error}: {state.pushed} shards are there, run it again to go on")
        raise typer.Exit(1)
    out.print(f"{state.pushed:,} shards in {repo}, {state.num_commits:,} commits made")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A job's folder, or a dataset's.")],
    to: Annotated[str, typer.Option("--to", help="trl, math-shepherd, processbench, ...")],
    file: Annotated[Path, typer.Option("--out", "-o", help="A .jsonl or .parquet file.")],
) -> None:
    """Write published labels in another format, and say what it cannot hold."""
    from factory.convert import export_dataset

    _print_lines(export_dataset(folder, to, file).lines())


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A JSONL, JSON or Parquet file, or a folder.")],
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

    found = import_file(source, from_, file, to=to, neutral=neutral, alternatives=alternatives)
    _print_lines(found.lines())


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
    out_folder: Out = Path("build/demo"),
    problems: Annotated[int, typer.Option(help="How many toy problems to label.")] = 16,
) -> None:
    """Label problems with known truth by the tiny model that ships, and compare."""
    from factory.demo import run_demo

    run_demo(out, out_folder, problems)


def main() -> None:
    """The console script. Bad input leaves with 2, an unusable disk with 1, Ctrl-C with 130."""
    try:
        app(standalone_mode=True)
    except InputError as error:
        _print_error(str(error))
        sys.exit(2)
    except OSError as error:
        if error.errno not in PERSONS_ERRNOS:
            raise
        place = f"{error.filename}: " if error.filename else ""
        _print_error(f"{place}{error.strerror}: free or choose another place and run it again")
        sys.exit(1)
    except SystemExit as left:
        if left.code == INTERRUPTED:
            err.print("stopped; what is done is kept: run the same command again to go on")
        raise


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        out.print(line, soft_wrap=True, highlight=False, markup=False)


def _print_error(message: str) -> None:
    line = " ".join(message.split("\n"))
    err.print(f"[red]error:[/] {escape(line)}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
