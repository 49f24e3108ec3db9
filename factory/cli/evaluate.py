"""The command that measures a process reward model."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from factory.cli.app import app, err, out
from factory.errors import InputError

if TYPE_CHECKING:
    from schemas.generation import Sampling

SCORING = "How it is run"
READING = "Where scores turn bad"


@app.command("eval")
def evaluate(
    model: Annotated[str, typer.Argument(help="A PRM: a folder, or a Hub id.")],
    processbench: Annotated[
        str | None, typer.Option(help="First errors: ProcessBench rows, or Qwen/ProcessBench.")
    ] = None,
    best_of: Annotated[
        str | None, typer.Option(help="Problems with N solutions each, JSONL or Parquet.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Step labels: a dataset's folder, or a file of them.")
    ] = None,
    prmbench: Annotated[str | None, typer.Option(help="PRMBench rows, by kind of error.")] = None,
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for report.json, the scores and plots."),
    ] = None,
    labels_format: Annotated[
        str | None, typer.Option(help="Of --labels, where it is not guessed: rlhflow, ...")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Of datasets on the Hub; by default every split.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first rows of each benchmark.")
    ] = None,
    backend: Annotated[
        str, typer.Option(help="auto, transformers or vllm.", rich_help_panel=SCORING)
    ] = "auto",
    device: Annotated[
        Literal["auto", "cpu", "gpu"], typer.Option(rich_help_panel=SCORING)
    ] = "auto",
    form: Annotated[
        str | None,
        typer.Option(
            help="How a generative PRM judges: genprm, thinkprm or critique.",
            rich_help_panel=SCORING,
        ),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(help="Verifications a generative PRM averages.", rich_help_panel=SCORING),
    ] = 1,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, help="Of a generative PRM; 0.6.", rich_help_panel=SCORING),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of a generative PRM's verification, in each of its turns; 4096.",
            rich_help_panel=SCORING,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of a generative PRM; 0.", rich_help_panel=SCORING)
    ] = None,
    engine_args: Annotated[
        str | None,
        typer.Option(
            help="vLLM's, as JSON or YAML: '{max_model_len: 8192}'.", rich_help_panel=SCORING
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(help="extra_0 or trl, where no prm.json says it.", rich_help_panel=SCORING),
    ] = None,
    separator: Annotated[
        str | None, typer.Option(help="The layout's, if not its own.", rich_help_panel=SCORING)
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(
            help="System text, if not prm.json's or the published one; '' sends none.",
            rich_help_panel=SCORING,
        ),
    ] = None,
    trust_remote_code: Annotated[
        bool,
        typer.Option(help="Run the code that comes with the model.", rich_help_panel=SCORING),
    ] = False,
    unsafe_sandbox: Annotated[
        bool,
        typer.Option(help="Run a model's code without isolation.", rich_help_panel=SCORING),
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="ProcessBench's; chosen on a subset by default.", rich_help_panel=READING
        ),
    ] = None,
    threshold_subset: Annotated[
        str | None,
        typer.Option(
            help="Where it is chosen: gsm8k if there, else the first.", rich_help_panel=READING
        ),
    ] = None,
    step_threshold: Annotated[
        float | None, typer.Option(help="For labels and PRMBench; 0.5.", rich_help_panel=READING)
    ] = None,
) -> None:
    """Measure a PRM: first errors, best-of-N, agreement with labels, each with its interval.

    Without a benchmark the toy world's own are used. factory/evaluation/README.md says what each
    measures and what its rows hold.
    """
    from importlib.util import find_spec

    from factory.evaluation.run import evaluate as run
    from factory.evaluation.run import prepare_out, read_parts
    from factory.evaluation.settings import EvalInputs, EvalSettings, toy_inputs
    from factory.report.evaluation import print_evaluation
    from factory.report.evaluation_plots import plot_evaluation
    from factory.scorers import open_scorer

    settings = EvalSettings(
        threshold=threshold,
        threshold_subset=threshold_subset,
        **({} if step_threshold is None else {"step_threshold": step_threshold}),
    )
    inputs = EvalInputs(
        processbench=processbench,
        best_of=best_of,
        labels=labels,
        labels_format=labels_format,
        prmbench=prmbench,
        limit=limit,
        split=split,
    )
    if inputs.is_empty:
        _refuse_without("a dataset on the Hub", split=split)
        inputs = toy_inputs(limit)
        err.print("[yellow]note:[/] no benchmark named: these are the toy world's own")
    if not inputs.labels:
        _refuse_without("--labels", labels_format=labels_format)
    if not inputs.processbench:
        thresholds = {"threshold": threshold, "threshold_subset": threshold_subset}
        _refuse_without("--processbench", **thresholds)
    if not (inputs.labels or inputs.prmbench):
        _refuse_without("--labels or --prmbench", step_threshold=step_threshold)
    parts = read_parts(inputs, settings)
    if out_folder is not None:
        prepare_out(out_folder)
    scorer = open_scorer(
        model,
        backend=backend,
        device=device,
        form=form,
        num_samples=samples,
        sampling=_sampling(temperature, max_tokens),
        seed=seed,
        engine_args=_engine_args(engine_args),
        layout=layout,
        separator=separator,
        system=system,
        trust_remote_code=trust_remote_code,
        unsafe_sandbox=unsafe_sandbox,
    )
    try:
        with out.status("scoring") as status:
            report = run(
                scorer,
                parts,
                out_folder,
                lambda done, total: status.update(f"scored {done:,} of {total:,} solutions"),
            )
    finally:
        scorer.close()
    print_evaluation(out, report)
    if out_folder is not None:
        pictures = plot_evaluation(report, out_folder)
        names = ", ".join(["report.json", "scores.jsonl", *(path.name for path in pictures)])
        out.print(f"\n{escape(str(out_folder))}: {names}", soft_wrap=True, highlight=False)
        if not find_spec("matplotlib"):
            err.print("no plots: for those of --best-of and --labels install matplotlib")


def _refuse_without(needed: str, **options: object) -> None:
    """Raises InputError for an option that is given and would change nothing."""
    for name, value in options.items():
        if value is not None:
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} is for {needed}: name one, or leave it out")


def _sampling(temperature: float | None, max_tokens: int | None) -> "Sampling | None":
    """The usual one but for what is given; `None` where nothing is."""
    from factory.scorers.opening import SAMPLING

    given = {"temperature": temperature, "max_tokens": max_tokens}
    changes: dict[str, Any] = {name: v for name, v in given.items() if v is not None}
    return replace(SAMPLING, **changes) if changes else None


def _engine_args(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--engine-args {text!r} is not YAML: write '{{name: value}}'") from error
    if not isinstance(found, dict):
        raise InputError(f"--engine-args {text!r} is no mapping: write '{{name: value}}'")
    return found
