"""What is to be learnt at each step: mass for good and mass for bad, nothing where it is masked.

With P the model's probability that a step is good, its loss is -[a log P + b log(1 - P)], and the
three kinds of label differ in a and b alone:

| labels | a | b | |
|---|---|---|---|
| hard | 1 or 0 | 0 or 1 | cross-entropy (arXiv 2312.08935) |
| soft | s | 1 - s | cross-entropy against the MC score or posterior mean s |
| counts | c | n - c | log-likelihood of c right ones among n rollouts, a Bernoulli draw each |

A batch's loss is the sum over its steps divided by the sum of a + b. So with counts a rollout is
what has weight 1, not a step: 128 rollouts teach 16 times as much as 8, and the gradient is that of
the likelihood of all of them. With the same number at each step it is that of soft labels.

The last step of a solution has a known outcome and no rollouts. Its outcome is certain, so with
counts it gets the weight of the solution's average step (1 if none was rolled out).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

from factory.errors import shortened
from factory.training.settings import COUNTS, HARD, MASK, TrainSettings
from schemas.records import StopReason

NO_LABEL = "no label"
UNDECIDED = "undecided"
AFTER_ERROR = "after the first error"
NO_ROLLOUTS = "no rollouts"
NO_SCORE = "no score"
COLUMNS = (
    "prompt", "completions", "labels", "unlabelled_steps", "step_labels", "mc_scores",
    "value_means", "num_rollouts", "num_correct", "stop_reasons", "p_good", "is_decided",
    "solution_id",
)  # fmt: skip
"""The columns that are read; a dataset without the evidence has the first three."""


class TargetError(ValueError):
    """A row that contradicts itself or lacks what the labels are made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The two masses of one step; both 0 where it is masked."""

    good: float = 0.0
    bad: float = 0.0

    @property
    def mass(self) -> float:
        return self.good + self.bad


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSteps:
    """A solution with a target for each of its steps."""

    problem: str
    steps: tuple[str, ...]
    targets: tuple[Target, ...]
    masked: Counter[str]
    """How many steps have no target, by reason."""


def labelled_steps(row: Mapping[str, Any], settings: TrainSettings) -> LabelledSteps:
    """The targets of a published row, or of one with `prompt`, `completions` and `labels` only.

    `settings.after_error` masks, by default, what stands behind the first bad step. So trained
    Qwen2.5-Math-PRM (arXiv 2501.07301 removes these steps); PRM800K has no ratings there, and
    ProcessBench asks for the first error alone. "keep" is Math-Shepherd's way: there a step's label
    says whether the solution can still be saved. Soft labels and counts do without hard ones: then
    the first bad step is the first without a right rollout, Math-Shepherd's hard estimate. A bad
    step that is not decided may be good and masks nothing, whether or not it is learnt itself.

    Raises TargetError for lists of different lengths, missing columns and what is no text.
    """
    if not isinstance(row.get("prompt"), str):
        prompt = shortened(row.get("prompt"))
        raise TargetError(f"its prompt is {prompt} and no text, in {_name(row)}")
    if not are_texts(row.get("completions")):
        raise TargetError(f"its completions are no list of texts, in {_name(row)}")
    steps = (*row["completions"], *(row.get("unlabelled_steps") or ()))
    targets = _TARGETS[settings.labels](row, len(steps), settings)
    if _has_hard_labels(row):
        hard = _hard_labels(row, len(steps))
    else:
        hard = [None if isinstance(target, str) else target.good > 0 for target in targets]
    reasons = _reasons(row, hard, settings)
    masked: Counter[str] = Counter()
    kept: list[Target] = []
    for target, reason in zip(targets, reasons, strict=True):
        why = reason or (target if isinstance(target, str) else None)
        masked.update([why] if why else [])
        kept.append(Target() if why or isinstance(target, str) else target)
    return LabelledSteps(problem=row["prompt"], steps=steps, targets=tuple(kept), masked=masked)


def are_texts(values: Any) -> bool:
    """Whether it is a list of texts and of nothing else."""
    return (
        isinstance(values, Sequence)
        and not isinstance(values, str)
        and all(isinstance(value, str) for value in values)
    )


def _label_column(row: Mapping[str, Any]) -> str:
    return "labels" if row.get("step_labels") is None else "step_labels"


def _has_hard_labels(row: Mapping[str, Any]) -> bool:
    labels = row.get(_label_column(row))
    return labels is not None and all(label in (True, False, None) for label in labels)


def _hard_labels(row: Mapping[str, Any], num_steps: int) -> list[bool | None]:
    labels = _list(row, name := _label_column(row), num_steps)
    if not _has_hard_labels(row):
        raise TargetError(
            f"{name} are neither true, false nor null in {_name(row)}: numbers from 0 to 1 are for "
            "--labels soft"
        )
    return [None if label is None else bool(label) for label in labels]


def _reasons(
    row: Mapping[str, Any], hard: Sequence[bool | None], settings: TrainSettings
) -> list[str | None]:
    """Why a step is masked whatever its target is; `None` where it is not."""
    decided: list[Any] = [None] * len(hard)
    if row.get("is_decided") is not None:
        decided = _list(row, "is_decided", len(hard))
    reasons: list[str | None] = [None] * len(hard)
    if settings.undecided == MASK:
        reasons = [UNDECIDED if is_decided is False else None for is_decided in decided]
    if settings.after_error == MASK:
        bad = (i for i, label in enumerate(hard) if label is False and decided[i] is not False)
        behind = next(bad, len(hard)) + 1
        reasons[behind:] = [AFTER_ERROR] * len(hard[behind:])
    return reasons


def _hard_targets(
    row: Mapping[str, Any], num_steps: int, settings: TrainSettings
) -> list[Target | str]:
    hard = _hard_labels(row, num_steps)
    weights = [1.0] * num_steps
    if settings.weigh_by_probability:
        p_good = _shares(row, "p_good", num_steps)
        weights = [
            1.0 if p is None else p if label else 1.0 - p
            for label, p in zip(hard, p_good, strict=True)
        ]
    return [
        NO_LABEL if label is None else Target(good=weight * label, bad=weight * (not label))
        for label, weight in zip(hard, weights, strict=True)
    ]


def _soft_targets(
    row: Mapping[str, Any], num_steps: int, settings: TrainSettings
) -> list[Target | str]:
    scores = _shares(row, settings.soft_from or _best_scores(row), num_steps)
    return [NO_SCORE if s is None else Target(good=s, bad=1.0 - s) for s in scores]


def _shares(row: Mapping[str, Any], name: str, num_steps: int) -> list[float | None]:
    """Numbers from 0 to 1; NaN, which is how pandas writes what is absent, is absent.

    Raises TargetError for what is no share.
    """
    given = _list(row, name, num_steps)
    if any(not isinstance(v, int | float | None) for v in given):
        raise TargetError(f"{name} are not numbers from 0 to 1 in {_name(row)}")
    values = [None if v is None or isnan(v) else float(v) for v in given]
    for value in values:
        if value is not None and not 0 <= value <= 1:
            raise TargetError(f"{name} has {value}, not from 0 to 1, in {_name(row)}")
    return values


def _best_scores(row: Mapping[str, Any]) -> str:
    """The best column of scores there is; TRL's `labels` are one where they are numbers."""
    means = row.get("value_means")
    if means is not None and any(mean is not None for mean in means):
        return "value_means"
    labels = row.get("labels")
    is_scored = labels is not None and not any(isinstance(label, bool) for label in labels)
    return "labels" if row.get("mc_scores") is None and is_scored else "mc_scores"


def _count_targets(
    row: Mapping[str, Any], num_steps: int, settings: TrainSettings
) -> list[Target | str]:
    rollouts = _list(row, "num_rollouts", num_steps)
    correct = _list(row, "num_correct", num_steps)
    reasons: list[Any] = [None] * num_steps
    scores: list[float | None] = [None] * num_steps
    if row.get("stop_reasons") is not None and row.get("mc_scores") is not None:
        reasons = _list(row, "stop_reasons", num_steps)
        scores = _shares(row, "mc_scores", num_steps)
    some = [n for n in rollouts if n]
    average = sum(some) / len(some) if some else 1.0
    targets: list[Target | str] = []
    for n, c, reason, score in zip(rollouts, correct, reasons, scores, strict=True):
        if n:
            if c is None or not 0 <= c <= n:
                raise TargetError(f"{c} of {n} rollouts are correct in {_name(row)}")
            targets.append(Target(good=float(c), bad=float(n - c)))
        elif reason == StopReason.KNOWN_OUTCOME and score is not None:
            targets.append(Target(good=average * score, bad=average * (1.0 - score)))
        else:
            targets.append(NO_ROLLOUTS)
    return targets


def _list(row: Mapping[str, Any], name: str, num_steps: int) -> list[Any]:
    values = row.get(name)
    if values is None:
        raise TargetError(f"there are no {name} in {_name(row)}: {_WITHOUT[name]}")
    if len(values) != num_steps:
        raise TargetError(f"{len(values)} {name} for {num_steps} steps in {_name(row)}")
    return list(values)


def _name(row: Mapping[str, Any]) -> str:
    identity = row.get("solution_id")
    return (
        f"solution {identity}"
        if identity
        else f"a solution of {shortened(row.get('prompt'), 60)!r}"
    )


_WITHOUT = {
    "labels": "give true and false, or choose --labels soft or counts",
    "mc_scores": "--labels soft needs scores from 0 to 1: choose --labels hard, or give them as "
    "mc_scores, or as labels",
    "value_means": "leave out --soft-from, or choose --labels hard",
    "num_rollouts": "choose --labels hard, or soft where there are scores",
    "num_correct": "choose --labels hard, or soft where there are scores",
    "p_good": "leave out --weigh-by-probability",
}
"""What to do without a column."""
_TARGETS = {HARD: _hard_targets, "soft": _soft_targets, COUNTS: _count_targets}
