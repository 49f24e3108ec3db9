"""What a job came to, in numbers that add up over its groups."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

from factory.core.publishing import NO_LABEL, PublishedGroup
from factory.core.teaching import JudgedRationale
from schemas.ids import digest_of
from schemas.published import PublishedSolution
from schemas.records import ProblemGroup, Status


@dataclass(slots=True, kw_only=True)
class Summary:
    """Counts over problems, solutions and steps; every problem and solution is in exactly one."""

    num_problems: int = 0
    num_problems_ok: int = 0
    num_solutions: int = 0
    """Published."""
    num_solutions_correct: int = 0
    num_solutions_graded: int = 0
    """Of which somebody knows whether they end right."""
    num_steps: int = 0
    num_good: int = 0
    num_bad: int = 0
    num_undecided: int = 0
    """Without a label."""
    num_claims: int = 0
    """Labels that come with the probability that they are right."""
    num_decided: int = 0
    """Of these, right with at least the probability the recipe asks for."""
    claimed_errors: float = 0.0
    """Expected number of wrong ones among them."""
    num_samples: int = 0
    num_samples_correct: int = 0
    num_sample_tokens: int = 0
    num_rollouts: int = 0
    """Behind the published steps; a prefix that two solutions share counts for both."""
    num_rollouts_ungraded: int = 0
    num_rollouts_truncated: int = 0
    num_rollout_tokens: int = 0
    """Generated, each rollout counted once."""
    num_rationales: int = 0
    num_rationale_rows: int = 0
    """Kept and published for training generative models."""
    num_consensus: int = 0
    """Published solutions on which teacher and labels agree as the recipe asks."""
    num_teacher_tokens: int = 0
    num_sections_redrawn: int = 0
    num_contradictions: int = 0
    num_code_blocks: int = 0
    num_code_failures: int = 0
    rationales_dropped: Counter[str] = field(default_factory=Counter)
    """By reason; with those kept they add up to all."""
    num_without_error: int = 0
    """Published solutions without a bad step."""
    dropped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def add(self, group: ProblemGroup, published: PublishedGroup) -> None:
        """Counts one group and the rows it was published as."""
        rows = published.solutions
        self.num_problems += 1
        self.num_problems_ok += group.status is Status.OK
        if group.status is Status.DROPPED:
            self.dropped[f"problems: {group.reason}"] += 1
        if group.status is Status.FAILED:
            self.failed[str(group.reason)] += 1
        if group.sampled:
            self.num_samples += group.sampled.num_rollouts + group.sampled.num_ungraded
            self.num_samples_correct += group.sampled.num_correct
            self.num_sample_tokens += group.sampled.num_tokens
        self.num_rollout_tokens += group.num_rollout_tokens
        if group.status is Status.OK and (unlabelled := len(group.solutions) - len(rows)):
            self.dropped[f"solutions: {NO_LABEL}"] += unlabelled
        for row in rows:
            self._add_row(row)
        self.num_teacher_tokens += group.num_teacher_tokens
        self.num_rationale_rows += len(published.rationales)
        self.num_consensus += len(published.consensus)
        for one in published.judged:
            self._add_rationale(one)

    def add_all(self, other: dict[str, Any]) -> None:
        """Adds what `as_dict` told of other groups."""
        for name, value in other.items():
            mine = getattr(self, name)
            if isinstance(mine, Counter):
                mine.update(value)
            else:
                setattr(self, name, mine + value)

    def _add_rationale(self, one: JudgedRationale) -> None:
        rationale, decision = one.rationale, one.candidate.decision
        self.num_rationales += 1
        self.num_sections_redrawn += rationale.num_redrawn
        self.num_contradictions += rationale.num_contradictions
        self.num_code_blocks += rationale.num_code_blocks
        self.num_code_failures += rationale.num_code_failures
        if decision.reason is not None:
            self.rationales_dropped[decision.reason] += 1

    def _add_row(self, row: PublishedSolution) -> None:
        labels = Counter(row.step_labels)
        self.num_solutions += 1
        self.num_solutions_correct += row.is_correct is True
        self.num_solutions_graded += row.is_correct is not None
        self.num_without_error += row.first_error is None
        self.num_steps += len(row.step_labels)
        self.num_good += labels[True]
        self.num_bad += labels[False]
        self.num_undecided += labels[None]
        claims = [(p, s) for p, s in zip(row.p_good, row.step_labels, strict=True) if p is not None]
        self.num_claims += len(claims)
        self.num_decided += sum(bool(is_decided) for is_decided in row.is_decided)
        self.claimed_errors += sum(1 - p if label else p for p, label in claims)
        self.num_rollouts += sum(row.num_rollouts)
        self.num_rollouts_ungraded += sum(row.num_ungraded)
        self.num_rollouts_truncated += sum(row.num_truncated)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            n: dict(v.most_common()) if isinstance(v, Counter) else v for n, v in values.items()
        }


def claim_of(recipe: dict[str, Any], summary: Summary) -> dict[str, Any] | None:
    """What a dataset's labels claim of themselves, and on what it rests; `None` without claims.

    `recipe` is its description, of which only the labeler and the price count. `cost_ratio` is
    that of a bad step called good to a good one called bad.
    """
    if not summary.num_claims:
        return None
    prior, costs = recipe["labeler"].get("prior"), recipe["labeler"].get("costs")
    return {
        "claimed_error": summary.claimed_errors / summary.num_claims,
        "share_decided": summary.num_decided / summary.num_claims,
        "prior": digest_of(prior) if prior else None,
        "price": recipe["planner"].get("price"),
        "cost_ratio": costs["bad_called_good"] / costs["good_called_bad"] if costs else None,
    }
