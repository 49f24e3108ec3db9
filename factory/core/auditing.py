"""What an audit compares: labels as published, and the same rule on many fresh rollouts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

NUM_RESAMPLES = 2_000
NUM_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedStep:
    """One step, as published and as checked."""

    solution_id: str
    label: bool
    p_good: float | None
    is_decided: bool | None
    mc_score: float | None
    """What was published as the soft label: the posterior mean, or the share without a prior."""
    fresh_label: bool
    """The recipe's rule on the fresh rollouts."""
    fresh_correct: int
    fresh_rollouts: int
    is_good_in_truth: bool | None = None
    """The oracle's word, in worlds that have one."""

    @property
    def claimed_error(self) -> float | None:
        """The probability of a wrong label that was claimed."""
        if self.p_good is None:
            return None
        return 1 - self.p_good if self.label else self.p_good


def report(steps: Sequence[AuditedStep]) -> dict[str, Any]:
    """Claimed against realised error, calibration, and both against the truth where it is known.

    Intervals are 95 % by resampling solutions: the labels of one solution err together. Raises
    ValueError without steps.
    """
    if not steps:
        raise ValueError("nothing was audited: there are no labelled steps with open prefixes")
    decided = [step for step in steps if step.is_decided]
    known = [step for step in steps if step.is_good_in_truth is not None]
    return {
        "num_steps": len(steps),
        "num_solutions": len({step.solution_id for step in steps}),
        "fresh_rollouts_per_prefix": max(step.fresh_rollouts for step in steps),
        "all": _errors(steps),
        "decided": _errors(decided) if decided else None,
        "against_truth": {
            "published": _rate(known, [s.label != s.is_good_in_truth for s in known]),
            "fresh": _rate(known, [s.fresh_label != s.is_good_in_truth for s in known]),
        }
        if known
        else None,
        "calibration": _calibration(steps),
    }


def _errors(steps: Sequence[AuditedStep]) -> dict[str, Any]:
    realised = _rate(steps, [step.label != step.fresh_label for step in steps])
    claims = [step.claimed_error for step in steps]
    claimed = None if None in claims else float(np.mean([c for c in claims if c is not None]))
    return {
        "claimed_error": claimed,
        "realised_error": realised,
        "realised_over_claimed": realised["rate"] / claimed if claimed else None,
        "false_good": _rate(steps, [s.label and not s.fresh_label for s in steps]),
        "false_bad": _rate(steps, [not s.label and s.fresh_label for s in steps]),
    }


def _rate(steps: Sequence[AuditedStep], wrong: Sequence[bool]) -> dict[str, Any]:
    """A share of steps with its interval over resampled solutions; the seed is fixed."""
    names = sorted({step.solution_id for step in steps})
    place = {name: i for i, name in enumerate(names)}
    hits, sizes = np.zeros(len(names)), np.zeros(len(names))
    for step, is_wrong in zip(steps, wrong, strict=True):
        hits[place[step.solution_id]] += is_wrong
        sizes[place[step.solution_id]] += 1
    drawn = np.random.default_rng(0).integers(len(names), size=(NUM_RESAMPLES, len(names)))
    rates = hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(rates, (0.025, 0.975))
    return {"rate": float(hits.sum() / sizes.sum()), "low": float(low), "high": float(high)}


def _calibration(steps: Sequence[AuditedStep]) -> dict[str, Any] | None:
    """Published soft labels against fresh shares, in bins, and their mean distance (ECE)."""
    scored = [(s.mc_score, s.fresh_correct / s.fresh_rollouts) for s in steps
              if s.mc_score is not None and s.fresh_rollouts]  # fmt: skip
    if not scored:
        return None
    claimed, fresh = (np.array(column) for column in zip(*scored, strict=True))
    bins = np.minimum((claimed * NUM_BINS).astype(int), NUM_BINS - 1)
    rows = [
        {
            "from": b / NUM_BINS,
            "num_steps": int((bins == b).sum()),
            "published": float(claimed[bins == b].mean()),
            "fresh": float(fresh[bins == b].mean()),
        }
        for b in range(NUM_BINS)
        if (bins == b).any()
    ]
    ece = sum(row["num_steps"] * abs(row["published"] - row["fresh"]) for row in rows) / len(scored)
    return {
        "ece": float(ece),
        "rmse": float(np.sqrt(np.mean((claimed - fresh) ** 2))),
        "bias": float(np.mean(claimed - fresh)),
        "bins": rows,
    }
