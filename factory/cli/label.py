"""Commands that make labels and look at them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from factory.cli.app import AllowCode, Out, app, err, out, print_error


@app.command()
def label(
    job: Annotated[Path, typer.Argument(help="The job file (YAML).")],
    out_folder: Out,
    evidence: Annotated[
        Path | None,
        typer.Option(help="A job's folder whose rollouts to take over, where they are the same."),
    ] = None,
    allow_code: AllowCode = False,
) -> None:
    """Sample, estimate and publish. Run it again to go on after an interruption."""
    from factory.job import load_job
    from factory.pipeline import label as run
    from factory.report.progress import watcher
    from factory.report.show import all_failed, print_summary

    manifest = run(load_job(job), out_folder, watcher(out), evidence, allow_code=allow_code)
    print_summary(out, out_folder / "dataset", manifest)
    if line := all_failed(manifest.summary):
        print_error(line)
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
    allow_code: AllowCode = False,
) -> None:
    """Check labels drawn at random with many fresh rollouts; the card then states their error."""
    from factory.audit import audit as run
    from factory.report.audit import print_audit
    from factory.report.progress import watcher

    report = run(
        folder,
        num_steps=steps,
        num_rollouts=rollouts,
        watch=watcher(out),
        allow_code=allow_code,
    )
    print_audit(out, report)


@app.command("fit-prior")
def fit_prior(
    folder: Annotated[Path, typer.Argument(help="A job's folder with evidence.")],
    solutions: Annotated[int, typer.Option(min=1, help="Solutions to fit to, at most.")] = 2_000,
) -> None:
    """Fit the prior of the adaptive recipe to a job's counts and print it for a recipe file."""
    from factory.fit import fit_folder
    from factory.report.audit import print_fit

    print_fit(out, fit_folder(folder, solutions))
