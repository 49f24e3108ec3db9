"""The trainings of the benchmark: which recipe's labels, of which solutions, with which seed."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random

from factory.bench.training_rows import ORACLE, LabelledRow
from factory.bench.training_world import SEEDS, TOKEN_BUDGETS
from factory.toy.benchmark_files import BEST_OF_8, PROCESSBENCH
from factory.toy.prm import BACKBONE_DIR, FineTuning, fine_tuning

ALL = "all solutions"
NO_LABELS = "no labels"
"""The backbone with the head it comes with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training: whose labels, of how many solutions, which seed."""

    recipe: str
    condition: str
    seed: int
    num_solutions: int
    """Labelled, discarded ones included."""
    num_rows: int
    num_tokens: int
    file: Path
    """The rows, named by all that its PRM and its scores depend on."""

    @property
    def settings(self) -> FineTuning:
        """Alike for all who label as many solutions, however many of them they keep."""
        return fine_tuning(self.num_solutions)

    @property
    def scores(self) -> Path:
        """Where the evaluation of its PRM is kept."""
        return self.file.with_suffix(".scores")


def planned(
    labelled: Mapping[str, Sequence[LabelledRow]], folder: Path, benchmarks: Path
) -> list[Run]:
    """All trainings of the recipes' rows, seed by seed; the rows are written to the folder."""
    return list(_runs(labelled, partial(_run, folder=folder, student=_student(benchmarks))))


def _runs(labelled: Mapping[str, Sequence[LabelledRow]], run: Callable[..., Run]) -> Iterator[Run]:
    for seed in SEEDS:
        yield run(NO_LABELS, ALL, seed, ())
        for name, rows in labelled.items():
            yield run(name, ALL, seed, _shuffled(rows, seed))
            if name == ORACLE:
                continue
            for budget in TOKEN_BUDGETS:
                paid = _paid_by(budget, _shuffled(rows, seed))
                if len(paid) < len(rows):
                    yield run(name, f"{budget:,} tokens", seed, paid)


def _shuffled(rows: Sequence[LabelledRow], seed: int) -> list[LabelledRow]:
    """Problems in a random order that is every recipe's; a problem's solutions stay together."""
    problems = sorted({row.problem_id for row in rows})
    Random(seed).shuffle(problems)
    place = {problem: i for i, problem in enumerate(problems)}
    return sorted(rows, key=lambda row: place[row.problem_id])


def _paid_by(budget: int, rows: Sequence[LabelledRow]) -> list[LabelledRow]:
    """The first solutions whose labels a budget of tokens pays for."""
    paid: list[LabelledRow] = []
    for row in rows:
        budget -= row.num_tokens
        if budget < 0:
            break
        paid.append(row)
    return paid


def _run(
    name: str,
    condition: str,
    seed: int,
    labelled: Sequence[LabelledRow],
    *,
    folder: Path,
    student: str,
) -> Run:
    kept = [one.row for one in labelled if one.row is not None]
    place = "-".join(f"{name} {condition} {seed}".replace(",", "").split())
    text = "".join(json.dumps(row) + "\n" for row in kept)
    key = sha256(f"{student} {fine_tuning(len(labelled))} {text}".encode()).hexdigest()
    file = folder / f"{place}-{key[:12]}.jsonl"
    file.write_text(text, encoding="utf-8")
    return Run(
        recipe=name,
        condition=condition,
        seed=seed,
        num_solutions=len(labelled),
        num_rows=len(kept),
        num_tokens=sum(one.num_tokens for one in labelled),
        file=file,
    )


def _student(benchmarks: Path) -> str:
    """Names what is trained and measured on: other ones have other results."""
    measured_on = [benchmarks / file.name for file in (PROCESSBENCH, BEST_OF_8)]
    files = (BACKBONE_DIR / "model.safetensors", *measured_on)
    return " ".join(sha256(file.read_bytes()).hexdigest() for file in files)
