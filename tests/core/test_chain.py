"""A chain holds possible counts only and knows where rollouts can go."""

import pytest

from factory.core.chain import Chain, Counts, chain_of, counts_of, outcome, root_evidence
from factory.core.counting import Rollout, count_rollouts, no_rollouts
from schemas.records import AnswerCount, ProblemGroup, Solution, StopReason, Verdict
from tests.core.chains import chain


@pytest.mark.parametrize(
    ("num_correct", "num_rollouts", "num_issued"), [(2, 1, 2), (1, 3, 2), (-1, 2, 2)]
)
def test_impossible_counts_are_refused(
    num_correct: int, num_rollouts: int, num_issued: int
) -> None:
    with pytest.raises(ValueError, match=f"{num_correct} correct of {num_rollouts}"):
        Counts(num_correct=num_correct, num_rollouts=num_rollouts, num_issued=num_issued)


def test_no_rollouts_have_no_score() -> None:
    assert Counts().mc_score is None
    assert Counts(num_issued=4).mc_score is None


@pytest.mark.parametrize(
    ("num_steps", "is_correct", "prefixes"),
    [
        (3, True, [1, 2]),
        (3, False, [1, 2]),
        (3, None, [1, 2, 3]),
        (1, True, []),
        (1, None, [1]),
    ],
)
def test_a_known_outcome_closes_the_last_prefix(
    num_steps: int, is_correct: bool | None, prefixes: list[int]
) -> None:
    assert list(chain(0.5, [0.5] * num_steps, is_correct).open_prefixes) == prefixes


def test_a_known_outcome_is_the_last_score() -> None:
    assert chain(0.5, [0.5, None], is_correct=True).mc_scores == (0.5, 1.0)
    assert chain(0.5, [0.5, 0.5], is_correct=False).mc_scores == (0.5, 0.0)
    assert chain(0.5, [0.5, None]).mc_scores == (0.5, None)


def test_prefix_0_is_the_bare_problem() -> None:
    built = chain(0.25, [0.5, 0.75])
    assert [built.counts_at(n).mc_score for n in range(3)] == [0.25, 0.5, 0.75]


def test_a_chain_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        Chain(root=Counts(), steps=(), is_correct=None)


@pytest.mark.parametrize(
    ("verdict", "is_correct"),
    [(Verdict.CORRECT, True), (Verdict.WRONG, False), (Verdict.NO_ANSWER, False)]
    + [(v, None) for v in Verdict if not v.is_decided],
)
def test_only_a_decided_verdict_is_an_outcome(verdict: Verdict, is_correct: bool | None) -> None:
    assert outcome(verdict) is is_correct


def rollout(answer: str | None, verdict: Verdict, *, is_truncated: bool = False) -> Rollout:
    return Rollout(answer=answer, verdict=verdict, num_tokens=10, is_truncated=is_truncated)


def test_rollouts_are_counted_with_the_first_batch_apart() -> None:
    evidence = count_rollouts(
        [
            rollout("4", Verdict.CORRECT),
            rollout("?", Verdict.TIMEOUT),
            rollout(None, Verdict.NO_ANSWER, is_truncated=True),
            rollout("5", Verdict.WRONG),
            rollout("4", Verdict.CORRECT),
        ],
        num_first=2,
        num_rounds=2,
        stop_reason=StopReason.FIXED,
    )
    assert (evidence.num_rollouts, evidence.num_correct, evidence.num_ungraded) == (4, 2, 1)
    assert (evidence.num_first, evidence.num_first_correct) == (1, 1)
    assert (evidence.num_truncated, evidence.num_tokens, evidence.num_rounds) == (1, 50, 2)
    assert evidence.answers[0] == AnswerCount(answer="4", verdict=Verdict.CORRECT, count=2)
    assert len(evidence.answers) == 4
    assert counts_of(evidence) == Counts(num_rollouts=4, num_correct=2, num_issued=5)


def test_nothing_spent_is_nothing_counted() -> None:
    assert counts_of(no_rollouts(StopReason.PROMPT_TOO_LONG)) == Counts()
    assert counts_of(None) == Counts()


def test_bought_rollouts_are_the_root_before_the_generators_samples() -> None:
    one = count_rollouts(
        [rollout("4", Verdict.CORRECT)], num_first=1, num_rounds=1, stop_reason=StopReason.FIXED
    )
    none = no_rollouts(StopReason.FIXED)
    group = ProblemGroup(problem_id="p", question="?", answer="4", sampled=none, root=one)
    assert root_evidence(group) is one
    assert root_evidence(ProblemGroup(problem_id="p", question="?", answer="4", sampled=none))


def test_a_solution_that_was_never_estimated_has_no_chain() -> None:
    solution = Solution(
        solution_id="s",
        steps=("a",),
        answer="4",
        verdict=Verdict.CORRECT,
        num_samples=1,
        num_tokens=1,
        finish_reason=None,
    )
    with pytest.raises(ValueError, match="solution s has no evidence: estimate it first"):
        chain_of(ProblemGroup(problem_id="p", question="?", answer="4"), solution)
