"""Records refuse the impossible; ids and seeds name content and nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.generation import Message, Prompt, Sampling
from schemas.ids import content_id, digest_of, seed_from
from schemas.records import (
    AnswerCount,
    Evidence,
    ProblemGroup,
    Solution,
    Status,
    StopReason,
    Verdict,
)

EVIDENCE: dict[str, Any] = {
    "num_rollouts": 3,
    "num_correct": 1,
    "num_ungraded": 2,
    "num_truncated": 5,
    "num_tokens": 50,
    "num_rounds": 1,
    "num_first": 2,
    "num_first_correct": 1,
    "stop_reason": StopReason.FIXED,
    "answers": (
        AnswerCount(answer="4", verdict=Verdict.CORRECT, count=1),
        AnswerCount(answer=None, verdict=Verdict.NO_ANSWER, count=2),
        AnswerCount(answer="?", verdict=Verdict.MEMORY, count=2),
    ),
}


def test_evidence_derives_its_score() -> None:
    assert Evidence(**EVIDENCE).mc_score == 1 / 3


def test_no_rollouts_have_no_score() -> None:
    zeros = {name: 0 for name, value in EVIDENCE.items() if isinstance(value, int)}
    assert Evidence(**{**EVIDENCE, **zeros, "answers": ()}).mc_score is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_rollouts": 5},
        {"num_correct": 3},
        {"num_ungraded": 0},
        {"answers": ()},
        {"num_first": 4},
        {"num_first_correct": 2},
        {"num_first": 0},
        {"num_first_correct": -1},
        {"num_truncated": 6},
        {"num_truncated": -1},
    ],
)
def test_counts_that_do_not_add_up_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="evidence"):
        Evidence(**{**EVIDENCE, **wrong})


def solution(steps: tuple[str, ...], evidence: tuple[Evidence, ...] = ()) -> Solution:
    return Solution(
        solution_id="3f2a",
        steps=steps,
        answer=None,
        verdict=Verdict.WRONG,
        num_samples=1,
        num_tokens=None,
        finish_reason=None,
        evidence=evidence,
    )


def test_a_solution_is_its_steps() -> None:
    assert solution(("a\n", "b")).text == "a\nb"


def test_a_solution_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="solution 3f2a has no steps"):
        solution(())


def test_evidence_for_other_than_all_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="1 evidence entries for 2 steps in solution 3f2a"):
        solution(("a", "b"), (Evidence(**EVIDENCE),))


@pytest.mark.parametrize(
    ("status", "reason"), [(Status.OK, "why"), (Status.DROPPED, None), (Status.FAILED, None)]
)
def test_a_reason_and_a_status_go_together(status: Status, reason: str | None) -> None:
    with pytest.raises(ValueError, match="problem p is"):
        ProblemGroup(problem_id="p", question="", answer="", status=status, reason=reason)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_p": float("nan")},
        {"top_k": -1},
        {"max_tokens": 0},
    ],
)
def test_impossible_sampling_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)


def test_a_prompt_without_messages_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one message"):
        Prompt(messages=())
    assert Prompt(messages=(Message(role="user", content=""),)).prefix == ""


def test_ids_and_seeds_are_what_they_always_were() -> None:
    """Stored rows and published datasets hold them: they may never change."""
    assert content_id("What is 2 + 2?", "4") == "db8d125bac3b53d5"
    assert seed_from(7, "rollout", "p", 0) == 7_421_054_337_165_353_778
    assert digest_of({"b": [1, None], "a": "é"}) == digest_of({"a": "é", "b": [1, None]})


def test_boundaries_between_parts_count() -> None:
    ids = [content_id(*p) for p in [("a", "b"), ("ab",), ("b", "a"), ("a", "b", ""), ()]]
    assert len(set(ids)) == len(ids)


@given(st.text(), st.integers(-(2**70), 2**70))
def test_seeds_fit_an_engine(text: str, number: int) -> None:
    assert 0 <= seed_from(number, text) < 2**63


def test_seeds_of_a_job_are_distinct() -> None:
    seeds = {seed_from(0, "rollout", str(p), i) for p in range(100) for i in range(200)}
    assert len(seeds) == 20_000
