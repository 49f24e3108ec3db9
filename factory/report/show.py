"""A job's outcome for a person: summary, and a few labelled solutions."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from factory.core.labelers import RelativeProgress
from factory.errors import InputError, shortened
from factory.lease import LEASE
from factory.report.audit import audit_line
from factory.report.stage_lines import hours
from factory.report.tables import duration, funnel_lines, percent, rationale_lines
from schemas.files import listed
from schemas.manifest import Manifest, read_manifest

STYLES = {True: "green", False: "red", None: "dim"}
MARKS = {True: "good", False: "bad", None: "?"}
ROWS_LOOKED_AT = 2_000
"""Among so many rows the ones to print are chosen: a large dataset is not read to its end."""


def open_dataset(folder: Path) -> tuple[Path, Manifest]:
    """The dataset in a job's folder or in this one, with its manifest.

    Raises InputError where there is none.
    """
    if folder.is_file() or not folder.exists():
        raise InputError(f"{folder} does not exist: give the folder named with --out")
    for candidate in (folder / "dataset", folder):
        manifest = _manifest(candidate)
        if manifest is not None and manifest.summary:
            return candidate, manifest
    if _manifest(folder) is not None:
        raise InputError(
            f"the job in {folder} has not published yet: run the same command again to finish it"
        )
    raise InputError(f"{folder} holds no dataset: give the folder named with --out")


def dataset_of(folder: Path) -> Path:
    """Where a job's dataset is or will be; the folder itself where it is a dataset's.

    Raises InputError where there is neither.
    """
    if _manifest(folder) is None:
        raise InputError(f"{folder} holds no job and no dataset: give the folder named with --out")
    is_job = {file.name for file in listed(folder, "*")} & {"stages", LEASE}
    return folder / "dataset" if is_job else folder


def _manifest(folder: Path) -> Manifest | None:
    try:
        return read_manifest(folder)
    except ValueError as error:
        raise InputError(shortened(error)) from error


def published_rows(dataset: Path) -> Iterable[dict[str, Any]]:
    """The rows of a published dataset, in order, Parquet or Arrow."""
    files = listed(dataset / "data", "*.parquet")
    if files:
        for file in files:
            with file.open("rb") as stream:
                for batch in pq.ParquetFile(stream).iter_batches(batch_size=500):
                    yield from batch.to_pylist()
    else:
        from datasets import load_from_disk

        yield from load_from_disk(str(dataset))


def show(console: Console, folder: Path, num_solutions: int) -> None:
    """Prints the summary of a job and its first labelled solutions."""
    dataset, manifest = open_dataset(folder)
    print_summary(console, dataset, manifest)
    labeler = manifest.recipe["labeler"]["type"]
    rows = islice(published_rows(dataset), ROWS_LOOKED_AT)
    for row in islice(_varied(rows), num_solutions):
        console.print(solution_panel(row, has_progress=labeler == RelativeProgress.__name__))


def print_summary(console: Console, dataset: Path, manifest: Manifest) -> None:
    """The job in a screenful."""
    s = manifest.summary
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row("recipe", Text.assemble(manifest.recipe["name"], "  digest ", manifest.digest))
    if not manifest.is_complete:
        table.add_row("so far", Text(progress_line(manifest)))
    table.add_row("problems", Text("\n".join(funnel_lines(s)).replace(" problems:", ":", 1)))
    if s["num_samples"]:
        right = percent(s["num_samples_correct"], s["num_samples"])
        tokens = f"{s['num_sample_tokens']:,} tokens"
        table.add_row("samples", f"{s['num_samples']:,}, {right} of them right, {tokens}")
    table.add_row("solutions", _solutions_line(s))
    if s["num_steps"]:
        table.add_row(
            "steps",
            f"{s['num_steps']:,}: [green]{percent(s['num_good'], s['num_steps'])} good[/], "
            f"[red]{percent(s['num_bad'], s['num_steps'])} bad[/], "
            f"{percent(s['num_undecided'], s['num_steps'])} without a label",
        )
        if s["num_claims"]:
            table.add_row(
                "trust",
                f"{percent(s['num_decided'], s['num_claims'])} of labels decided, "
                f"{percent(s['claimed_errors'], s['num_claims'])} claimed to be wrong"
                + (f"\n{audit_line(manifest.audit)}" if manifest.audit else ""),
            )
        table.add_row(
            "rollouts",
            f"{s['num_rollouts']:,} behind the steps; a shared step counts for each solution\n"
            f"{s['num_rollouts_truncated']:,} cut at a limit, "
            f"{s['num_rollouts_ungraded']:,} not gradable, {s['num_rollout_tokens']:,} tokens",
        )
    if s["num_rationales"]:
        table.add_row("teacher", Text("\n".join(rationale_lines(s))))
    for name, stage in manifest.stages.items():
        table.add_row(name, _stage_line(stage))
    console.print(table, highlight=False)
    for name, text in (("dataset", str(dataset)), ("load it", load_line(dataset))):
        console.print(Text.assemble((f"{name:<11}", "bold"), text), soft_wrap=True)


def progress_line(manifest: Manifest) -> str:
    """How far a job is that has not published everything yet."""
    return (
        f"{manifest.summary['num_problems']:,} of {manifest.num_problems:,} problems are published "
        "and final, the others follow"
    )


def all_failed(summary: dict[str, Any]) -> str | None:
    """A line for a person when every problem failed, none was dropped; else `None`."""
    failed = summary["failed"]
    if not failed or sum(failed.values()) < summary["num_problems"]:
        return None
    reason = shortened(max(failed, key=failed.get))
    return (
        f"all {summary['num_problems']:,} problems failed: {reason}; "
        "run the same command again to try them again"
    )


def _solutions_line(s: dict[str, Any]) -> str:
    if not s["num_solutions"]:
        return "none: the dataset is empty"
    return (
        f"{s['num_solutions']:,} labelled, "
        f"{percent(s['num_solutions_correct'], s['num_solutions_graded'])} of them right, "
        f"{percent(s['num_without_error'], s['num_solutions'])} without a bad step"
    )


def load_line(dataset: Path) -> str:
    """The one line that loads a dataset."""
    if (dataset / "data").is_dir():
        return f'datasets.load_dataset("{dataset}", split="train")'
    return f'datasets.load_from_disk("{dataset}")'


def solution_panel(row: dict[str, Any], *, has_progress: bool = False) -> Panel:
    """One labelled solution: every step with its label, score and counts, progress if asked."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name in ("label", "score", *(("progress",) if has_progress else ()), "right"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("step")
    columns = ("step_labels", "mc_scores", "progress", "num_correct", "num_rollouts")
    steps = [*row["completions"], *row["unlabelled_steps"]]
    for step, label, score, ratio, right, rollouts in zip(
        steps, *(row[column] for column in columns), strict=True
    ):
        table.add_row(
            Text(MARKS[label], style=STYLES[label]),
            _rounded(score),
            *((_rounded(ratio),) if has_progress else ()),
            f"{right}/{rollouts}" if rollouts else "",
            Text(step, style=STYLES[label]),
        )
    verdict = {True: "right", False: "wrong", None: "not graded"}[row["is_correct"]]
    answer = "no answer" if row["answer"] is None else f"answer {row['answer']}"
    title = f"{answer}, reference {row['reference_answer']}: {verdict}"
    return Panel(Group(Text(row["prompt"]), "", table), title=Text(title), title_align="left")


def _rounded(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _varied(rows: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Rows of different problems, those with a bad step and those without in turn."""
    waiting: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    seen: set[str] = set()
    wants_error = True
    for row in rows:
        has_error = row["first_error"] is not None
        if row["problem_id"] in seen or len(waiting[has_error]) > 20:
            continue
        seen.add(row["problem_id"])
        waiting[has_error].append(row)
        while waiting[wants_error]:
            yield waiting[wants_error].pop(0)
            wants_error = not wants_error
    yield from (*waiting[True], *waiting[False])


def _stage_line(stage: dict[str, Any]) -> str:
    seconds = stage["seconds"]
    if not seconds:
        return "nothing to do"
    cached = percent(stage["num_cached_prompt_tokens"], stage["num_prompt_tokens"])
    reserved = f", {hours(stage['engine_s'], stage['gpu_s'])}" if stage.get("engine_s") else ""
    return (
        f"{duration(seconds)}, {stage['num_finished']:,} completions, "
        f"{stage['num_generated_tokens'] / seconds:,.0f} tokens/s, {cached} of the prompts cached"
        f"{reserved}"
    )
