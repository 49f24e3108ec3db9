"""Commands that make labels and look at them."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from factory.cli.app import AllowCode, Out, app, err, out, print_error, print_lines, say


@app.command()
def label(
    job: Annotated[Path, typer.Argument(help="The job file (YAML).")],
    out_folder: Out,
    evidence: Annotated[
        str | None,
        typer.Option(help="A job's folder whose rollouts to take over, where they are the same."),
    ] = None,
    allow_code: AllowCode = False,
) -> None:
    """Sample, estimate and publish. Run it again to go on after an interruption."""
    from factory.job_file import load_job
    from factory.pipeline import label as run
    from factory.places import out_of, place_of
    from factory.report.progress import watcher
    from factory.report.push import push_line, unfinished_line
    from factory.report.show import all_failed, print_summary

    folder = out_of(out_folder)
    pushes: list[Any] = []
    manifest = run(
        load_job(job),
        folder,
        watcher(out),
        None if evidence is None else place_of(evidence),
        say=say,
        watch_push=pushes.append,
        allow_code=allow_code,
    )
    print_summary(out, folder / "dataset", manifest)
    if line := all_failed(manifest.summary):
        print_error(line)
        raise typer.Exit(1)
    if pushes:
        if not pushes[-1].is_finished:
            print_error(unfinished_line(pushes[-1], out_folder))
            raise typer.Exit(1)
        print_lines([f"pushed     {push_line(pushes[-1])}"])


@app.command()
def relabel(
    folder: Annotated[str, typer.Argument(help="A job's folder.")],
    recipe: Annotated[str, typer.Option("--recipe", "-r", help="Whose rule makes the labels.")],
    out_folder: Out,
) -> None:
    """Publish the stored evidence again under another recipe's rule; no engine is started."""
    from factory.places import out_of, place_of
    from factory.relabel import relabel as run
    from factory.relabel import unfinished
    from factory.report.show import print_summary

    source, target = place_of(folder), out_of(out_folder)
    manifest = run(source, recipe, target)
    print_summary(out, target / "dataset", manifest)
    if line := unfinished(source):
        err.print(f"[yellow]note:[/] {escape(line)}", soft_wrap=True, highlight=False)


@app.command()
def show(
    folder: Annotated[str, typer.Argument(help="A job's folder, or a dataset's.")],
    solutions: Annotated[
        int, typer.Option("--solutions", "-n", min=0, help="How many to print.")
    ] = 3,
) -> None:
    """Print a job's summary and a few labelled solutions."""
    from factory.places import place_of
    from factory.report.show import show as run

    run(out, place_of(folder), solutions)


@app.command()
def audit(
    folder: Annotated[str, typer.Argument(help="A finished job's folder.")],
    steps: Annotated[int, typer.Option(min=1, help="How many steps to check, about.")] = 300,
    rollouts: Annotated[int, typer.Option(min=2, help="Fresh rollouts at every prefix.")] = 256,
    allow_code: AllowCode = False,
) -> None:
    """Check labels drawn at random with many fresh rollouts; the card then states their error."""
    from factory.audit import audit as run
    from factory.places import out_of
    from factory.report.audit import print_audit
    from factory.report.progress import watcher

    found = run(
        out_of(folder),
        num_steps=steps,
        num_rollouts=rollouts,
        watch=watcher(out),
        allow_code=allow_code,
    )
    print_audit(out, found)


@app.command("fit-prior")
def fit_prior(
    folder: Annotated[str, typer.Argument(help="A job's folder with evidence.")],
    solutions: Annotated[int, typer.Option(min=1, help="Solutions to fit to, at most.")] = 2_000,
) -> None:
    """Fit the prior of the adaptive recipe to a job's counts and print it for a recipe file."""
    from factory.fit import fit_folder
    from factory.places import place_of
    from factory.report.audit import print_fit

    print_fit(out, fit_folder(place_of(folder), solutions))
