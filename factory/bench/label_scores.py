"""How right labels are: against the oracle, and against what very many rollouts say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from factory.bench.bank import BankSolution
from factory.bench.policies import Replayed
from factory.core.first_error import score_first_errors

Truth = Callable[[BankSolution], list[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """One policy on one set of solutions. Rates are over steps."""

    tokens: float
    """Generated tokens per solution."""
    rollouts: float
    rounds: float
    line_accuracy: float
    """Steps whose label, closed under prefixes, says whether the oracle calls the prefix alive."""
    false_good: float
    """Share of dead prefixes called good."""
    false_bad: float
    """Share of living prefixes called bad."""
    first_error_f1: float


def closed(replayed: Replayed) -> list[bool]:
    """Labels made prefix-closed: good while nothing before was bad."""
    return list(accumulate((bool(s.label) for s in replayed.labels), lambda a, b: a and b))


def score(replays: Sequence[Replayed], truth: Truth | None = None) -> Scores:
    """Scores labels against the oracle, or against another truth of the inner steps."""
    pairs = [
        (label, good)
        for r in replays
        for label, good in zip(closed(r), r.solution.is_alive, strict=True)
    ]
    if truth is not None:
        pairs = [
            (bool(step.label), good)
            for r in replays
            for step, good in zip(r.labels[:-1], truth(r.solution), strict=True)
        ]
    good = [label for label, is_good in pairs if is_good]
    bad = [label for label, is_good in pairs if not is_good]
    errors = score_first_errors((r.first_error, r.solution.first_error) for r in replays)
    return Scores(
        tokens=float(np.mean([r.num_tokens for r in replays])),
        rollouts=float(np.mean([r.num_rollouts for r in replays])),
        rounds=float(np.mean([r.num_rounds for r in replays])),
        line_accuracy=float(np.mean([label == is_good for label, is_good in pairs])),
        false_good=float(np.mean(bad)) if bad else 0.0,
        false_bad=1 - float(np.mean(good)) if good else 0.0,
        first_error_f1=errors.f1 or 0.0,
    )


def progress_truth(solution: BankSolution) -> list[bool]:
    """Relative progress of at least 0.8 at the shares of all rollouts in the bank.

    Zero shares count as dead. The bare problem's value is its pass rate pooled over its samples.
    """
    values = [solution.root.mc_score or 0.0]
    values += [float(np.mean(p.is_right)) for p in solution.prefixes]
    alive = list(accumulate((v > 0 for v in values[1:]), lambda a, b: a and b))
    return [
        is_alive and after >= 0.8 * before
        for before, after, is_alive in zip(values[:-1], values[1:], alive, strict=True)
    ]
