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

from factory.errors import InputError
from factory.report.tables import funnel_lines, percent
from schemas.manifest import Manifest, read_manifest

STYLES = {True: "green", False: "red", None: "dim"}
MARKS = {True: "good", False: "bad", None: "?"}


def open_dataset(folder: Path) -> tuple[Path, Manifest]:
    """The dataset in a job's folder or in this one, with its manifest.

    Raises InputError where there is none.
    """
    for candidate in (folder / "dataset", folder):
        manifest = read_manifest(candidate)
        if manifest is not None and manifest.summary:
            return candidate, manifest
    if read_manifest(folder) is not None:
        raise InputError(
            f"the job in {folder} has not published yet: run the same command again to finish it"
        )
    raise InputError(f"{folder} holds no dataset: give the folder named with --out")


def published_rows(dataset: Path) -> Iterable[dict[str, Any]]:
    """The rows of a published dataset, in order, Parquet or Arrow."""
    files = sorted((dataset / "data").glob("*.parquet"))
    if files:
        for file in files:
            for batch in pq.ParquetFile(file).iter_batches(batch_size=500):
                yield from batch.to_pylist()
    else:
        from datasets import load_from_disk

        yield from load_from_disk(str(dataset))


def show(console: Console, folder: Path, num_solutions: int) -> None:
    """Prints the summary of a job and its first labelled solutions."""
    dataset, manifest = open_dataset(folder)
    print_summary(console, dataset, manifest)
    for row in islice(_varied(published_rows(dataset)), num_solutions):
        console.print(solution_panel(row))


def print_summary(console: Console, dataset: Path, manifest: Manifest) -> None:
    """The job in a screenful."""
    s = manifest.summary
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row("recipe", f"{manifest.recipe['name']}  [dim]digest {manifest.digest}")
    table.add_row("problems", "\n".join(funnel_lines(s)))
    if s["num_samples"]:
        right = percent(s["num_samples_correct"], s["num_samples"])
        tokens = f"{s['num_sample_tokens']:,} tokens"
        table.add_row("samples", f"{s['num_samples']:,}, {right} of them right, {tokens}")
    table.add_row(
        "solutions",
        f"{s['num_solutions']:,} labelled, "
        f"{percent(s['num_solutions_correct'], s['num_solutions'])} of them right, "
        f"{percent(s['num_without_error'], s['num_solutions'])} without a bad step",
    )
    table.add_row(
        "steps",
        f"{s['num_steps']:,}: [green]{percent(s['num_good'], s['num_steps'])} good[/], "
        f"[red]{percent(s['num_bad'], s['num_steps'])} bad[/], "
        f"{percent(s['num_undecided'], s['num_steps'])} undecided",
    )
    table.add_row(
        "rollouts", f"{s['num_rollouts']:,} behind the steps, {s['num_rollout_tokens']:,} tokens"
    )
    for name, stage in manifest.stages.items():
        table.add_row(name, _stage_line(stage))
    console.print(table)
    console.print(f"\n[bold]dataset[/]  {dataset}")
    console.print(f"[bold]load it[/]  {load_line(dataset)}", soft_wrap=True, highlight=False)


def load_line(dataset: Path) -> str:
    """The one line that loads a dataset."""
    if (dataset / "data").is_dir():
        return f'datasets.load_dataset("{dataset}", split="train")'
    return f'datasets.load_from_disk("{dataset}")'


def solution_panel(row: dict[str, Any]) -> Panel:
    """One labelled solution: every step with its label, score and counts."""
    table = Table.grid(padding=(0, 2))
    for justify in ("right", "right", "right", "left"):
        table.add_column(justify=justify, no_wrap=justify == "right")
    counts = zip(row["num_correct"], row["num_rollouts"], strict=True)
    steps = [*row["completions"], *row["unlabelled_steps"]]
    for step, label, score, (right, rollouts) in zip(
        steps, row["step_labels"], row["mc_scores"], counts, strict=True
    ):
        table.add_row(
            Text(MARKS[label], style=STYLES[label]),
            "–" if score is None else f"{score:.2f}",
            f"{right}/{rollouts}" if rollouts else "",
            Text(step, style=STYLES[label]),
        )
    verdict = {True: "right", False: "wrong", None: "not graded"}[row["is_correct"]]
    title = f"answer {row['answer']}, reference {row['reference_answer']}: {verdict}"
    return Panel(Group(Text(row["prompt"]), "", table), title=Text(title), title_align="left")


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
    tokens = stage["num_generated_tokens"]
    cached = percent(stage["num_cached_prompt_tokens"], stage["num_prompt_tokens"])
    return (
        f"{seconds:,.0f} s, {stage['num_finished']:,} completions, {tokens:,} tokens, "
        f"{tokens / seconds:,.0f} tokens/s, {cached} of prompt tokens from the prefix cache"
        if seconds
        else "nothing to do"
    )
