"""An evaluation: benchmarks are read, every solution is scored once, the report is written."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from math import isnan
from pathlib import Path
from typing import Any

from factory.errors import InputError
from factory.evaluation.benchmarks import (
    BEST_OF_ROW,
    PRMBENCH_ROW,
    PROCESSBENCH_ROW,
    best_of_row,
    prmbench_row,
    processbench_row,
)
from factory.evaluation.files import read_items
from factory.evaluation.labelled import read_labelled
from factory.evaluation.parts import BestOfPart, LabelsPart, Part, PrmBenchPart, ProcessBenchPart
from factory.evaluation.settings import EvalInputs, EvalSettings
from factory.scorers.scorer import Scorer, SolutionText
from schemas.files import make_folder, write_atomically

REPORT_FILE, SCORES_FILE = "report.json", "scores.jsonl"
SCORED_TOGETHER = 2_000
Watch = Callable[[int, int], None]
"""(solutions scored, solutions in all)."""


def read_parts(inputs: EvalInputs, settings: EvalSettings) -> list[Part]:
    """Everything that was named, read and checked: before a model is loaded.

    Raises InputError with file and line for what cannot be read.
    """
    parts: list[Part] = []
    limit = inputs.limit
    if inputs.processbench:
        rows = read_items(inputs.processbench, processbench_row, PROCESSBENCH_ROW, limit=limit)
        part = ProcessBenchPart(source=inputs.processbench, rows=rows, settings=settings)
        part.check()
        parts.append(part)
    if inputs.best_of:
        found = read_items(inputs.best_of, best_of_row, BEST_OF_ROW, limit=limit)
        parts.append(BestOfPart(source=inputs.best_of, rows=found))
    if inputs.labels:
        labelled = read_labelled(inputs.labels, inputs.labels_format, limit=limit)
        parts.append(
            LabelsPart(
                source=inputs.labels,
                rows=labelled.rows,
                skipped=labelled.skipped,
                settings=settings,
            )
        )
    if inputs.prmbench:
        processes = read_items(inputs.prmbench, prmbench_row, PRMBENCH_ROW, limit=limit)
        parts.append(PrmBenchPart(source=inputs.prmbench, rows=processes, settings=settings))
    return parts


def prepare_out(out: Path) -> None:
    """Before hours of scoring. Raises InputError where there is a file."""
    try:
        make_folder(out)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{error.filename} is a file: name a folder with --out") from error


def evaluate(
    scorer: Scorer, parts: Sequence[Part], out: Path | None = None, watch: Watch | None = None
) -> dict[str, Any]:
    """Scores and reports, JSON-ready; with `out`, `report.json` and the scores are written there.

    Solutions that occur more than once are scored once. Raises InputError where the model gave no
    score at all: a report of such a model would be one of its absence.
    """
    start = time.monotonic()
    wanted = list(dict.fromkeys(text for part in parts for text in part.texts()))
    scores: dict[SolutionText, list[float]] = {}
    for first in range(0, len(wanted), SCORED_TOGETHER):
        some = wanted[first : first + SCORED_TOGETHER]
        scores.update(zip(some, scorer.score_all(some), strict=True))
        if watch is not None:
            watch(len(scores), len(wanted))
    seconds = time.monotonic() - start
    scored = [text for text in wanted if not any(map(isnan, scores[text]))]
    if not scored:
        raise InputError(
            f"the model scored none of {len(wanted):,} solutions: "
            + ", ".join(f"{why} ({n:,})" for why, n in scorer.unscored.most_common())
        )
    report: dict[str, Any] = {
        "model": scorer.describe(),
        "num_solutions": len(wanted),
        "num_solutions_scored": len(scored),
        "num_steps_scored": sum(len(text.steps) for text in scored),
        "scoring_seconds": round(seconds, 3),
        "unscored": dict(scorer.unscored),
        "version": version("prm-factory"),
    }
    for part in parts:
        report[part.name] = {
            "source": part.source,
            **part.report([scores[text] for text in part.texts()]),
        }
    ready: dict[str, Any] = json.loads(json.dumps(report, allow_nan=False))
    if out is not None:
        _write(out, ready, scores)
    return ready


def _write(out: Path, report: dict[str, Any], scores: dict[SolutionText, list[float]]) -> None:
    make_folder(out)
    lines = (
        json.dumps(
            {**asdict(text), "scores": [None if isnan(s) else s for s in own]}, ensure_ascii=False
        )
        for text, own in scores.items()
    )
    write_atomically(out / SCORES_FILE, "".join(f"{line}\n" for line in lines))
    write_atomically(out / REPORT_FILE, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
