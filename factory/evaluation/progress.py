"""The scores of an evaluation that is under way: kept after each chunk, taken up by the same one.

OUT/scores.jsonl      a line for each solution, in order
OUT/unfinished.json   what is evaluated, and how many lines hold; gone when it is done

Lines beyond those that hold are of a chunk that was cut, and are removed.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from math import isnan, nan
from pathlib import Path
from typing import Any

from factory.scorers.scorer import SolutionText
from schemas.files import make_folder, sha256_of, write_atomically

SCORES_FILE, UNFINISHED_FILE = "scores.jsonl", "unfinished.json"
Scores = list[list[float]]


@dataclass(slots=True, kw_only=True)
class Progress:
    """The scores so far, of the first of the solutions."""

    scores: Scores = field(default_factory=list)
    unscored: Counter[str] = field(default_factory=Counter)
    """As a scorer counts them."""
    seconds: float = 0.0


def identity(model: dict[str, Any], wanted: Sequence[SolutionText]) -> str:
    """Names a model as it is run, its files where they are here, and what is scored."""
    folder = Path(str(model["model"]))
    files = sorted(path for path in folder.glob("*") if path.is_file())
    stats = [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    texts = [[text.problem, *text.steps] for text in wanted]
    return sha256_of(
        json.dumps([model, version("prm-factory"), stats, texts], default=str).encode()
    )


def begin(out: Path, key: str) -> Progress:
    """What an interrupted evaluation of that `key` left; nothing of another."""
    make_folder(out)
    path = out / UNFINISHED_FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["key"] != key:
            raise ValueError("another evaluation")
        with (out / SCORES_FILE).open("r+b") as file:
            lines = [file.readline() for _ in range(kept["num_lines"])]
            scores = [_scores_in(json.loads(line)) for line in lines]
            file.truncate(sum(map(len, lines)))
        return Progress(scores=scores, unscored=Counter(kept["unscored"]), seconds=kept["seconds"])
    except (FileNotFoundError, ValueError):
        (out / SCORES_FILE).write_bytes(b"")
        keep(out, key, [], [], Progress())
        return Progress()


def keep(
    out: Path, key: str, some: Sequence[SolutionText], own: Scores, progress: Progress
) -> None:
    """Appends a chunk's lines, and then says that they hold."""
    with (out / SCORES_FILE).open("a", encoding="utf-8") as file:
        file.writelines(_lines(some, own))
    kept = {
        "key": key,
        "num_lines": len(progress.scores),
        "unscored": dict(progress.unscored),
        "seconds": progress.seconds,
    }
    write_atomically(out / UNFINISHED_FILE, json.dumps(kept) + "\n")


def end(out: Path) -> None:
    """After the report: the next evaluation scores anew."""
    (out / UNFINISHED_FILE).unlink(missing_ok=True)


def kept_scores(out: Path) -> dict[SolutionText, list[float]]:
    """Of an evaluation that is done; NaN for what could not be scored."""
    with (out / SCORES_FILE).open("rb") as file:
        rows = [json.loads(line) for line in file]
    return {
        SolutionText(problem=row["problem"], steps=tuple(row["steps"])): _scores_in(row)
        for row in rows
    }


def _lines(texts: Sequence[SolutionText], scores: Scores) -> Iterable[str]:
    for text, own in zip(texts, scores, strict=True):
        values = {**asdict(text), "scores": [None if isnan(s) else s for s in own]}
        yield json.dumps(values, ensure_ascii=False) + "\n"


def _scores_in(row: dict[str, Any]) -> list[float]:
    return [nan if score is None else score for score in row["scores"]]
