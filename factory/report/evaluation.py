"""An evaluation for a person: a table for each benchmark, every number with its interval."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from factory.report.tables import duration

DASH = "–"


def print_evaluation(console: Console, report: dict[str, Any]) -> None:
    """Everything in the report."""
    model = report["model"]
    how = ", ".join(f"{k} {v}" for k, v in model.items() if k != "model" and v is not None)
    console.print(Text.assemble(("model  ", "bold"), f"{model['model']} ({how})"), soft_wrap=True)
    scored, num = report["num_solutions_scored"], report["num_solutions"]
    console.print(
        f"[bold]scored[/] {f'{scored:,} of ' if scored < num else ''}{num:,} solutions, "
        f"{report['num_steps_scored']:,} steps in {duration(report['scoring_seconds'])}"
    )
    kind = "verifications" if model.get("num_samples") else "solutions"
    for reason, count in report["unscored"].items():
        line = f"       {kind} without a score, {reason}: {count:,}"
        console.print(line, style="yellow", markup=False, highlight=False)
    console.print(
        "per cent, AUC and the like from 0 to 1; in brackets the 95 % interval", style="dim"
    )
    parts = {
        "processbench": _processbench,
        "best_of": _best_of,
        "labels": _labels,
        "prmbench": _prmbench,
    }
    for name, lines in parts.items():
        if name in report:
            console.print()
            for line in lines(report[name]):
                console.print(line, highlight=False, soft_wrap=isinstance(line, Text))


def _processbench(found: dict[str, Any]) -> Iterator[Table | Text]:
    threshold = found["threshold"]
    how = f"chosen on {threshold['chosen_on']}" if threshold["chosen_on"] else "given"
    yield Text.assemble(
        ("first errors", "bold"),
        f"  ProcessBench, {found['source']}; threshold {threshold['value']}, {how}",
    )
    yield from _told(found, "num_unscored", "without a score, so judged wrongly")
    table = _table("subset", "n", "erroneous", "correct", "F1")
    for row in found["subsets"]:
        table.add_row(
            Text(row["subset"]),
            f"{row['f1']['num']:,}",
            *(_percent(row[key]) for key in ("accuracy_erroneous", "accuracy_correct", "f1")),
        )
    average = found["average_f1"]
    table.add_row("average", f"{average['num']:,}", "", "", _percent(average))
    if (rest := found["held_out_f1"]) is not None:
        title = f"without {threshold['chosen_on']}"
        table.add_row(Text(title), f"{rest['num']:,}", "", "", _percent(rest))
    yield table


def _best_of(found: dict[str, Any]) -> Iterator[Table | Text]:
    low, high = found["solutions_per_problem"]
    size = f"{low}" if low == high else f"{low} to {high}"
    yield Text.assemble(
        ("best of N", "bold"),
        f"  {found['source']}; {found['num_problems']:,} problems, {size} solutions each",
    )
    for key, what in (
        ("num_ungraded", "answers that could not be graded, so wrong"),
        ("num_unanswered", "solutions without an answer, so without a vote"),
        ("num_problems_unanswered", "problems that no solution answers, so votes are wrong"),
        ("num_unscored", "solutions without a score, so never preferred"),
        (
            "num_problems_unscored",
            "problems without any score, so prm-* and vote-* are wrong",
        ),
    ):
        yield from _told(found, key, what)
    table = _table("method", "n", "accuracy", "more than majority")
    for row in found["methods"]:
        accuracy, gain = row["accuracy"], row["gain"]
        more = DASH if gain is None else _percent(gain, sign="+")
        table.add_row(row["method"], f"{accuracy['num']:,}", _percent(accuracy), more)
    yield table


def _labels(found: dict[str, Any]) -> Iterator[Table | Text]:
    yield Text.assemble(
        ("labels", "bold"),
        f"  {found['source']}; {found['num_steps']:,} steps, {found['num_good']:,} of them good",
    )
    for reason in found["skipped"]:
        yield from _told(found["skipped"], reason, f"left out, {reason}")
    yield from _told(found, "num_unscored_steps", "labelled steps without a score, so left out")
    table = _table("measure", "n", "value")
    rows = (
        (f"agreement at {found['threshold']:g}", "agreement", _percent),
        ("balanced accuracy", "balanced_accuracy", _percent),
        ("AUC", "auc", _number),
        ("ECE", "ece", _number),
        ("Brier score", "brier", _number),
    )
    for title, key, shown in rows:
        table.add_row(title, f"{found[key]['num']:,}", shown(found[key]))
    yield table


def _prmbench(found: dict[str, Any]) -> Iterator[Table | Text]:
    yield Text.assemble(
        ("kinds of error", "bold"),
        f"  PRMBench, {found['source']}; threshold {found['threshold']:g}",
    )
    yield from _told(found, "num_unscored", "processes without a score, so left out")
    table = _table("category", "n", "PRM score", "F1 good", "F1 bad")
    for row in (*found["categories"], found["overall"]):
        numbers = (_percent(row[key]) for key in ("prm_score", "f1_good", "f1_bad"))
        table.add_row(Text(row["category"]), f"{row['num_processes']:,}", *numbers)
    yield table


def _told(found: dict[str, Any], key: str, what: str) -> Iterator[Text]:
    if found[key]:
        yield Text(f"{what}: {found[key]:,}", style="yellow")


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    for name in columns:
        table.add_column(name, justify="left" if name == columns[0] else "right", overflow="fold")
    return table


def _percent(estimate: dict[str, Any], sign: str = "") -> str:
    if estimate["value"] is None:
        return DASH
    shown = f"{100 * estimate['value']:{sign}.1f}"
    if estimate["low"] is None:
        return shown
    to = " to " if sign else "–"
    return f"{shown} ({100 * estimate['low']:{sign}.1f}{to}{100 * estimate['high']:{sign}.1f})"


def _number(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return DASH
    if estimate["low"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f}–{estimate['high']:.3f})"
