"""The records that flow through the factory: one row is one problem group.

A group is a problem, its solutions, their steps, and what was counted at each prefix. Counts and
answers are stored; MC scores, progress and labels are derived from them, never stored here.
"""

from dataclasses import dataclass
from enum import StrEnum

from schemas.generation import FinishReason
from schemas.rationales import Rationale

SCHEMA_VERSION = 3
"""Raised when a stored field changes its meaning, its type or its name."""


class Verdict(StrEnum):
    """What the grader says of one answer. From TIMEOUT on it means that nothing is decided."""

    CORRECT = "correct"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"
    """The completion states no answer: decided, and not correct. A solution that was given has
    not stopped for good, so one without an answer stays `UNGRADED`."""
    TIMEOUT = "timeout"
    TOO_LONG = "too_long"
    MEMORY = "memory"
    ERROR = "error"
    CUT = "cut"
    """The context ended before the model did, and before it stated an answer."""
    UNGRADED = "ungraded"
    """Not graded yet, or given without an answer that could be: its ending is unknown."""

    @property
    def is_decided(self) -> bool:
        """Whether this verdict counts as a rollout; an ungraded one is lost, not wrong."""
        return self in (Verdict.CORRECT, Verdict.WRONG, Verdict.NO_ANSWER)


class Status(StrEnum):
    """What became of a problem group; the three never mix."""

    OK = "ok"
    DROPPED = "dropped"
    """Decided against, with a reason."""
    FAILED = "failed"
    """Something broke, with an error: running the job again tries it again."""


class StopReason(StrEnum):
    """Why no further rollouts were bought at a prefix."""

    FIXED = "fixed"
    """The planner's fixed number of rollouts was reached."""
    KNOWN_OUTCOME = "known_outcome"
    """The whole solution: its own answer says what the prefix is worth."""
    FIRST_SUCCESS = "first_success"
    """One right answer decides a hard label."""
    DECIDED = "decided"
    """No further rollout can change the label."""
    PRICE = "price"
    """A further batch was expected to save less than it costs."""
    CAP = "cap"
    """The planner's maximum was reached before the price was."""
    GIVEN = "given"
    """Its label came with the problem."""
    PROMPT_TOO_LONG = "prompt_too_long"
    """The prefix leaves no room in the completer's context: no evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCount:
    """A distinct answer among the rollouts of one prefix; `None` is a rollout without one."""

    answer: str | None
    verdict: Verdict
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was counted at one prefix.

    `num_rollouts` counts the rollouts whose verdict is decided; `num_ungraded` those that the
    grader could not decide or the context cut. The distinct answers account for both. The first
    batch is kept apart because its share of successes is unbiased whatever rule stops the sampling.
    """

    num_rollouts: int
    num_correct: int
    num_ungraded: int
    num_truncated: int
    """Rollouts cut before they ended; they are among those counted above."""
    num_tokens: int
    """Tokens generated."""
    num_rounds: int
    num_first: int
    """Rollouts of the first batch with a decided verdict."""
    num_first_correct: int
    stop_reason: StopReason
    answers: tuple[AnswerCount, ...]

    def __post_init__(self) -> None:
        decided = sum(a.count for a in self.answers if a.verdict.is_decided)
        correct = sum(a.count for a in self.answers if a.verdict is Verdict.CORRECT)
        ungraded = sum(a.count for a in self.answers if not a.verdict.is_decided)
        stored = (self.num_rollouts, self.num_correct, self.num_ungraded)
        if stored != (decided, correct, ungraded):
            raise ValueError(
                f"evidence stores (rollouts, correct, ungraded) = {stored}, "
                f"its answers add up to {(decided, correct, ungraded)}"
            )
        if not (
            0 <= self.num_first_correct <= min(self.num_first, self.num_correct)
            and self.num_first <= self.num_rollouts
            and 0 <= self.num_truncated <= self.num_rollouts + self.num_ungraded
        ):
            raise ValueError(
                f"evidence of {self.num_correct} correct of {self.num_rollouts} rollouts cannot "
                f"have {self.num_first_correct} correct of {self.num_first} in its first batch and "
                f"{self.num_truncated} truncated"
            )

    @property
    def mc_score(self) -> float | None:
        """Share of right answers, `None` without rollouts."""
        return self.num_correct / self.num_rollouts if self.num_rollouts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """One attempt by the generator, split into steps: joined, the steps give its text back."""

    solution_id: str
    steps: tuple[str, ...]
    answer: str | None
    verdict: Verdict
    num_samples: int
    """How often the generator wrote exactly this text."""
    num_tokens: int | None
    """Tokens of the text; `None` when it was given and not sampled."""
    finish_reason: FinishReason | None
    evidence: tuple[Evidence, ...] = ()
    """One entry per step: what was counted at the prefix that ends with it. Empty until then."""
    given_labels: tuple[bool | None, ...] = ()
    """One per step, `None` where there is none; empty for a solution that came without."""
    rationales: tuple[Rationale, ...] = ()
    """What the teacher wrote of it, in the order it was asked."""

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError(f"solution {self.solution_id} has no steps")
        if self.given_labels and len(self.given_labels) != len(self.steps):
            raise ValueError(
                f"{len(self.given_labels)} given labels for {len(self.steps)} steps "
                f"in solution {self.solution_id}"
            )
        if self.evidence and len(self.evidence) != len(self.steps):
            raise ValueError(
                f"{len(self.evidence)} evidence entries for {len(self.steps)} steps "
                f"in solution {self.solution_id}"
            )

    @property
    def text(self) -> str:
        """The solution as it was written."""
        return "".join(self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemGroup:
    """A problem with everything known of it: the row of every stored stage.

    As it comes from the input it has its first four fields only; each stage fills in more.
    """

    problem_id: str
    question: str
    answer: str
    """The reference answer."""
    metadata: str | None = None
    """JSON of the input's other columns, carried along unread."""
    input_id: str = ""
    """Hash of question, answer and given solutions: a corrected input has another one."""
    status: Status = Status.OK
    reason: str | None = None
    """Why it was dropped, in a few fixed words that can be counted, or what failed."""
    sampled: Evidence | None = None
    """What the generator's own samples from the bare problem came to."""
    root: Evidence | None = None
    """What the completer's rollouts from the bare problem came to, where they were bought."""
    solutions: tuple[Solution, ...] = ()
    num_rollout_tokens: int = 0
    """Tokens the completer generated, each rollout counted once: solutions that begin alike share
    the rollouts of that prefix, so the sum over their evidence can be larger."""
    num_teacher_tokens: int = 0
    """Tokens the teacher generated, discarded ones included."""

    def __post_init__(self) -> None:
        if (self.status is Status.OK) != (self.reason is None):
            raise ValueError(
                f"problem {self.problem_id} is {self.status} with reason {self.reason!r}: "
                "dropped and failed groups state a reason, others none"
            )
