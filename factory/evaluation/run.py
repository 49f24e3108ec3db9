"""An evaluation: benchmarks are read, every solution is scored once, the report is written."""

import json
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from math import isnan
from pathlib import Path
from typing import Any

from factory.errors import InputError
from factory.evaluation.benchmarks import (
    BEST_OF_ROW,
    PRMBENCH_ROW,
    PROCESSBENCH_ROW,
    distinct_problems,
    prmbench_row,
    processbench_row,
)
from factory.evaluation.files import read_items
from factory.evaluation.labelled import read_labelled
from factory.evaluation.parts import BestOfPart, LabelsPart, Part, PrmBenchPart, ProcessBenchPart
from factory.evaluation.progress import Progress, begin, end, identity, keep
from factory.evaluation.settings import EvalInputs, EvalSettings
from factory.scorers.scorer import Scorer, SolutionText
from schemas.files import make_folder, write_atomically

REPORT_FILE = "report.json"
SCORED_TOGETHER = 500
Watch = Callable[[int, int], None]
"""(solutions scored, solutions in all)."""


def read_parts(inputs: EvalInputs, settings: EvalSettings) -> list[Part]:
    """Everything that was named, read and checked: before a model is loaded.

    Raises InputError with file and line for what cannot be read.
    """
    parts: list[Part] = []
    limit, split = inputs.limit, inputs.split
    if inputs.processbench:
        rows = read_items(
            inputs.processbench, processbench_row, PROCESSBENCH_ROW, limit=limit, split=split
        )
        part = ProcessBenchPart(source=inputs.processbench, rows=rows, settings=settings)
        part.check()
        parts.append(part)
    if inputs.best_of:
        found = read_items(
            inputs.best_of, distinct_problems(), BEST_OF_ROW, limit=limit, split=split
        )
        parts.append(BestOfPart(source=inputs.best_of, rows=found))
    if inputs.labels:
        labelled = read_labelled(inputs.labels, inputs.labels_format, limit=limit, split=split)
        parts.append(
            LabelsPart(
                source=inputs.labels,
                rows=labelled.rows,
                skipped=labelled.skipped,
                settings=settings,
            )
        )
    if inputs.prmbench:
        processes = read_items(
            inputs.prmbench, prmbench_row, PRMBENCH_ROW, limit=limit, split=split
        )
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
    """Scores and reports, JSON-ready; with `out`, `report.json` and the scores are written there,
    and scores that the same evaluation left there when it was interrupted are taken up.

    Solutions that occur more than once are scored once. Raises InputError where the model gave no
    score at all: a report of such a model would be one of its absence.
    """
    wanted = list(dict.fromkeys(text for part in parts for text in part.texts()))
    found = _scored(scorer, wanted, out, watch)
    scores = dict(zip(wanted, found.scores, strict=True))
    scored = [text for text in wanted if not any(map(isnan, scores[text]))]
    if not scored:
        if out is not None:
            end(out)
        raise InputError(
            f"the model scored none of {len(wanted):,} solutions: "
            + ", ".join(f"{why} ({n:,})" for why, n in found.unscored.most_common())
        )
    report: dict[str, Any] = {
        "model": scorer.describe(),
        "num_solutions": len(wanted),
        "num_solutions_scored": len(scored),
        "num_steps_scored": sum(len(text.steps) for text in scored),
        "scoring_seconds": round(found.seconds, 3),
        "unscored": dict(found.unscored),
        "version": version("prm-factory"),
    }
    for part in parts:
        report[part.name] = {
            "source": part.source,
            **part.report([scores[text] for text in part.texts()]),
        }
    ready: dict[str, Any] = json.loads(json.dumps(report, allow_nan=False))
    if out is not None:
        write_atomically(out / REPORT_FILE, json.dumps(ready, indent=2, ensure_ascii=False) + "\n")
        end(out)
    return ready


def _scored(
    scorer: Scorer, wanted: Sequence[SolutionText], out: Path | None, watch: Watch | None
) -> Progress:
    """All scores; with `out` each chunk's are kept, and those of an interrupted run taken up."""
    key = identity(scorer.describe(), wanted)
    found = Progress() if out is None else begin(out, key)
    before, seconds = found.unscored.copy(), found.seconds
    start = time.monotonic()
    while len(found.scores) < len(wanted):
        some = wanted[len(found.scores) :][:SCORED_TOGETHER]
        own = scorer.score_all(some)
        found.scores += own
        found.unscored = before + scorer.unscored
        found.seconds = seconds + time.monotonic() - start
        if out is not None:
            keep(out, key, some, own, found)
        if watch is not None:
            watch(len(found.scores), len(wanted))
    return found
