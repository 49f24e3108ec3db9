"""PRMBench (arXiv 2501.03124; code ssmisya/PRMBench): are steps judged rightly, by kind of error?

A step that scores at or above the threshold is called good. Steps are pooled over the processes of
a category, and counted as in `eval_on_hallucination_step` of the benchmark's code:

- `f1_good` = 2 TP / (2 TP + FP + FN): good steps are the positive class; its `f1`.
- `f1_bad` = 2 TN / (2 TN + FP + FN): bad steps are; its `negative_f1`.
- `prm_score` = (f1_good + f1_bad) / 2, the paper's PRMScore with both weights a half. In
  `multi_solutions`, all of whose steps are good, it is f1_good alone, as in the code's figures.
- `overall` is the PRM score of all steps of all categories in one pool, as the code's total; it is
  no mean of categories.

Degenerate cases. An F1 is 0 where its class occurs or is named and no step of it is found, and not
defined (`None`) where it neither occurs nor is named; the code says -1 for the second, and for a
precision and recall of 0 too, which would be averaged as numbers. A score of something undefined is
not defined. A process without scores is left out of everything and counted, as the code leaves out
those whose answer it cannot read. Intervals draw `original_question`s again, with all processes
made from each.

Not taken over: a model's own labels of redundancy, which the code prefers in the two categories of
`simplicity` (a scalar PRM has none); the code's accuracies of steps and of first errors; and its
leaving out of rows that come twice. It calls a step good above the threshold, not at it.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from factory.evaluation.resampling import Array, Estimate, estimate, share, summed

ONLY_GOOD = "multi_solutions"
ABILITIES = {
    "simplicity": ("redundency", "circular"),
    "soundness": ("counterfactual", "step_contradiction", "domain_inconsistency", "confidence"),
    "sensitivity": ("missing_condition", "deception", "multi_solutions"),
}
"""The categories as the benchmark's files spell them, under the paper's three headings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedProcess:
    """A benchmark's process of T steps with its scores."""

    category: str
    problem: Hashable
    error_steps: frozenset[int]
    """0-based."""
    scores: tuple[float, ...]
    """T scores. A process with a NaN among them is left out, as the reference leaves out answers
    it cannot read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryScore:
    """One category's score, and the two F1 it is made of."""

    category: str
    num_processes: int
    prm_score: Estimate
    f1_good: Estimate
    f1_bad: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class PrmBenchScore:
    """Overall and by category."""

    threshold: float
    overall: CategoryScore
    categories: tuple[CategoryScore, ...]
    num_unscored: int


def score_prmbench(processes: Sequence[JudgedProcess], threshold: float = 0.5) -> PrmBenchScore:
    """Scores at one threshold; a score equal to it is good."""
    scored = [p for p in processes if not any(isnan(score) for score in p.scores)]
    known = [name for names in ABILITIES.values() for name in names]
    found = dict.fromkeys(p.category for p in scored)
    names = sorted(found, key=lambda name: known.index(name) if name in known else len(known))
    return PrmBenchScore(
        threshold=threshold,
        overall=_category("overall", scored, threshold),
        categories=tuple(
            _category(name, [p for p in scored if p.category == name], threshold) for name in names
        ),
        num_unscored=len(processes) - len(scored),
    )


def confusion(process: JudgedProcess, threshold: float) -> list[float]:
    """Good called good, bad called good, good called bad, bad called bad."""
    counts = [0.0] * 4
    for i, score in enumerate(process.scores):
        counts[(i in process.error_steps) + 2 * (score < threshold)] += 1
    return counts


def _category(name: str, processes: Sequence[JudgedProcess], threshold: float) -> CategoryScore:
    sums = summed(((p.problem, confusion(p, threshold)) for p in processes), 4)
    num_steps = int(sums.sum())
    return CategoryScore(
        category=name,
        num_processes=len(processes),
        prm_score=estimate(sums, _f1_good if name == ONLY_GOOD else _prm_score, num=num_steps),
        f1_good=estimate(sums, _f1_good, num=num_steps),
        f1_bad=estimate(sums, _f1_bad, num=num_steps),
    )


def _f1_good(sums: Array) -> Array:
    return share(2 * sums[..., 0], 2 * sums[..., 0] + sums[..., 1] + sums[..., 2])


def _f1_bad(sums: Array) -> Array:
    return share(2 * sums[..., 3], 2 * sums[..., 3] + sums[..., 1] + sums[..., 2])


def _prm_score(sums: Array) -> Array:
    return np.asarray((_f1_good(sums) + _f1_bad(sums)) / 2)
