"""Step labels to compare scores with: a published dataset, or a file of any format that is read."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.errors import InputError, shortened
from factory.evaluation.files import PlacedRow, no_splits, placed_rows
from factory.report.show import open_dataset, published_rows
from factory.scorers.scorer import SolutionText
from schemas.interchange.formats import NAMES, Format, format_named
from schemas.interchange.labelled import LabelledSolution, Skip
from schemas.manifest import MANIFEST
from schemas.published import PER_STEP

OWN = "prm-factory"
GUESSED = (OWN, "labelled", "processbench", "math-shepherd", "trl", "rlhflow", "thinkprm-1k")
"""Tried on the first row, in this order; other formats have to be named."""
NO_LABEL = "no step with a label"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRow:
    """A solution's T labels; `None` where nobody decided."""

    text: SolutionText
    labels: tuple[bool | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Solutions with a label or more, and what was left out, by reason."""

    rows: tuple[LabelledRow, ...]
    skipped: dict[str, int]


def read_labelled(
    source: str,
    format_name: str | None = None,
    *,
    limit: int | None = None,
    split: str | None = None,
) -> Labelled:
    """The solutions that have a label, from a job's or dataset's folder, from files, or the Hub.

    Labels that a recipe marks as not decided count as none. Raises InputError for rows of no known
    format, and where nothing has a label.
    """
    known = None if format_name is None else _format(format_name)
    found: list[LabelledRow] = []
    skipped: Counter[str] = Counter()
    for row in _rows(source, split):
        if limit is not None and len(found) >= limit:
            break
        known = known or _guessed(row)
        try:
            solutions = known.read(row.values)
        except Skip as reason:
            skipped[str(reason)] += 1
            continue
        except ValueError as error:
            raise InputError(
                f"{row.place}: not a row of {known.name}: {shortened(error)}"
            ) from error
        for solution in solutions:
            labelled = _row(solution, row.values)
            if labelled is None:
                skipped[NO_LABEL] += 1
            else:
                found.append(labelled)
    if not found:
        why = ", ".join(f"{reason} ({n:,})" for reason, n in skipped.most_common())
        raise InputError(
            f"{source} holds no step with a label: there is nothing to compare with "
            f"({why or 'it has no rows'})"
        )
    return Labelled(rows=tuple(found), skipped=dict(skipped.most_common()))


def _rows(source: str, split: str | None) -> Iterable[PlacedRow]:
    path = Path(source)
    if path.is_dir() and any((path / place / MANIFEST).is_file() for place in ("", "dataset")):
        if split is not None:
            raise no_splits(source)
        return _published(path)
    return placed_rows(source, split)


def _published(folder: Path) -> Iterator[PlacedRow]:
    dataset, _ = open_dataset(folder)
    for number, values in enumerate(published_rows(dataset), start=1):
        yield PlacedRow(place=f"{dataset} row {number}", part="data", values=values)


def _guessed(row: PlacedRow) -> Format:
    refused: list[tuple[int, str]] = []
    for name in GUESSED:
        if name == OWN and not {"prompt", "completions", *PER_STEP} <= row.values.keys():
            continue
        found = format_named(name)
        try:
            found.read(row.values)
        except Skip:
            return found
        except ValueError as error:
            refused.append((len(found.columns & row.values.keys()), f"{name}: {shortened(error)}"))
            continue
        return found
    nearest = max(refused)[1]
    raise InputError(
        f"{row.place}: a row of no format that is guessed, the nearest is {nearest}; mend it, or "
        f"name its format with --labels-format ({', '.join(NAMES)})"
    )


def _format(name: str) -> Format:
    try:
        return format_named(name)
    except ValueError as error:
        raise InputError(str(error)) from error


def _row(solution: LabelledSolution, values: dict[str, Any]) -> LabelledRow | None:
    """`None` where no step has a label."""
    labels = solution.labels
    decided = values.get("is_decided")
    if decided is not None and len(decided) == len(labels):
        labels = tuple(
            None if is_decided is False else label
            for label, is_decided in zip(labels, decided, strict=True)
        )
    if all(label is None for label in labels):
        return None
    return LabelledRow(
        text=SolutionText(problem=solution.question, steps=solution.steps), labels=labels
    )
