"""How far published labels agree with the toy world's known truth."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from factory.core.first_error import FirstErrorScore, score_first_errors
from factory.toy.oracle import StepTruth, first_error, judge
from factory.toy.world import make_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Labels against the oracle. A good step is one whose prefix is still alive."""

    num_steps: int
    """Steps with a label."""
    num_agreeing: int
    num_false_good: int
    """Called good, but the prefix is dead."""
    num_false_bad: int
    """Called bad, but the prefix is alive."""
    first_errors: FirstErrorScore

    @property
    def accuracy(self) -> float | None:
        """Share of labelled steps that agree."""
        return self.num_agreeing / self.num_steps if self.num_steps else None


def compare(rows: Iterable[dict[str, Any]]) -> Agreement:
    """Compares published rows, whose metadata names their toy problem, with the oracle."""
    num_steps = num_agreeing = num_false_good = num_false_bad = 0
    first_errors = []
    for row in rows:
        truths = truths_of(row)
        for label, truth in zip(row["step_labels"], truths, strict=True):
            if label is None:
                continue
            num_steps += 1
            num_agreeing += label == truth.is_alive
            num_false_good += label and not truth.is_alive
            num_false_bad += not label and truth.is_alive
        first_errors.append((row["first_error"], first_error(truths)))
    return Agreement(
        num_steps=num_steps,
        num_agreeing=num_agreeing,
        num_false_good=num_false_good,
        num_false_bad=num_false_bad,
        first_errors=score_first_errors(first_errors),
    )


def truths_of(row: dict[str, Any]) -> tuple[StepTruth, ...]:
    """What the oracle says of each step of a published row."""
    steps = [*row["completions"], *row["unlabelled_steps"]]
    return judge(make_problem(**_name(row)), steps)


def _name(row: dict[str, Any]) -> dict[str, Any]:
    metadata = json.loads(row["metadata"])
    metadata = metadata.get("metadata", metadata)
    return {key: metadata[key] for key in ("family", "level", "seed")}
