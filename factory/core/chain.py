"""The evidence of one solution as the labelers and planners see it."""

from dataclasses import dataclass

from schemas.records import Evidence, ProblemGroup, Solution, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Rollouts at one prefix. `num_issued` also counts those whose verdict is not decided."""

    num_rollouts: int = 0
    num_correct: int = 0
    num_issued: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.num_correct <= self.num_rollouts <= self.num_issued:
            raise ValueError(
                f"{self.num_correct} correct of {self.num_rollouts} rollouts "
                f"of {self.num_issued} issued is impossible"
            )

    @property
    def mc_score(self) -> float | None:
        """Share of right answers, `None` without rollouts."""
        return self.num_correct / self.num_rollouts if self.num_rollouts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A solution with T steps: counts at the bare problem and after each step.

    `is_correct` is the verdict on the solution's own answer, `None` when there is none. The prefix
    after the last step is the whole solution, so that verdict is its MC score and no rollout is
    spent on it (GenPRM's released code does the same).
    """

    root: Counts
    steps: tuple[Counts, ...]
    is_correct: bool | None
    is_on_policy: bool = False
    """Whether the completer wrote the solution, so that its ending is one more rollout."""
    lengths: tuple[int, ...] = ()
    """Length of each step's text, in characters; empty counts all steps as equally long."""
    given: tuple[bool | None, ...] = ()
    """Labels that came with the solution, one per step; empty without."""

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("a chain needs at least one step")
        if self.lengths and len(self.lengths) != len(self.steps):
            raise ValueError(f"{len(self.lengths)} lengths for {len(self.steps)} steps")
        if self.given and len(self.given) != len(self.steps):
            raise ValueError(f"{len(self.given)} given labels for {len(self.steps)} steps")

    def share_ahead(self, prefix: int) -> float:
        """The share of the solution's text that lies ahead of the prefix: a rollout's cost."""
        lengths = self.lengths or (1,) * len(self.steps)
        return sum(lengths[prefix:]) / max(1, sum(lengths))

    @property
    def open_prefixes(self) -> range:
        """The prefixes rollouts can be spent on, by number of steps: 1..T-1, or 1..T."""
        return range(1, len(self.steps) + (self.is_correct is None))

    def counts_at(self, prefix: int) -> Counts:
        """What was counted at the prefix of this many steps; 0 is the bare problem."""
        return self.steps[prefix - 1] if prefix else self.root

    @property
    def mc_scores(self) -> tuple[float | None, ...]:
        """The MC score after each step, length T; `None` where there is no evidence."""
        return tuple(counts.mc_score for counts in self.scored)

    @property
    def scored(self) -> tuple[Counts, ...]:
        """What the MC scores are made from: a known outcome stands as one rollout."""
        if self.is_correct is None:
            return self.steps
        known = Counts(num_rollouts=1, num_correct=int(self.is_correct), num_issued=1)
        return (*self.steps[:-1], known)


def outcome(verdict: Verdict) -> bool | None:
    """Whether a solution ends right; `None` when nobody can tell."""
    return verdict is Verdict.CORRECT if verdict.is_decided else None


def counts_of(evidence: Evidence | None) -> Counts:
    """The counts of stored evidence; none at all without it."""
    if evidence is None:
        return Counts()
    return Counts(
        num_rollouts=evidence.num_rollouts,
        num_correct=evidence.num_correct,
        num_issued=evidence.num_rollouts + evidence.num_ungraded,
    )


def root_evidence(group: ProblemGroup) -> Evidence | None:
    """The completer's rollouts from the bare problem, or else the generator's samples."""
    return group.root or group.sampled


def chain_of(group: ProblemGroup, solution: Solution, *, is_on_policy: bool = False) -> Chain:
    """The chain of a stored solution. Raises ValueError when its steps were never estimated.

    `is_on_policy` says that the generator is the completer; a solution that was given and not
    sampled is never on policy.
    """
    if not solution.evidence:
        raise ValueError(f"solution {solution.solution_id} has no evidence: estimate it first")
    return Chain(
        root=counts_of(root_evidence(group)),
        steps=tuple(counts_of(evidence) for evidence in solution.evidence),
        is_correct=outcome(solution.verdict),
        is_on_policy=is_on_policy and group.sampled is not None,
        lengths=tuple(len(step) for step in solution.steps),
        given=solution.given_labels,
    )
