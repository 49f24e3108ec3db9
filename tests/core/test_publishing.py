"""Published rows are complete, and the summary adds up over them."""

from dataclasses import replace

import pytest

from factory.core.labelers import HardEstimation, RelativeProgress
from factory.core.prior import ChainPrior
from factory.core.publishing import NO_LABEL, Provenance, PublishedGroup, publish_group
from factory.core.summary import Summary, claim_of
from factory.recipes import load_recipe
from factory.recipes.adaptive import adaptive
from schemas.generation import FinishReason
from schemas.ids import digest_of
from schemas.published import PER_STEP, PublishedSolution
from schemas.records import (
    AnswerCount,
    Evidence,
    ProblemGroup,
    Solution,
    Status,
    StopReason,
    Verdict,
)

PROVENANCE = Provenance(
    recipe="r", digest="d", generator=None, completer="c", sampling="{}", completing="{}", seed=7
)


def evidence(num_correct: int, num_wrong: int, num_lost: int = 0) -> Evidence:
    counted = [
        (Verdict.CORRECT, "4", num_correct),
        (Verdict.WRONG, "5", num_wrong),
        (Verdict.TIMEOUT, "?", num_lost),
    ]
    return Evidence(
        num_rollouts=num_correct + num_wrong,
        num_correct=num_correct,
        num_ungraded=num_lost,
        num_truncated=0,
        num_tokens=10 * (num_correct + num_wrong + num_lost),
        num_rounds=1,
        num_first=num_correct + num_wrong,
        num_first_correct=num_correct,
        stop_reason=StopReason.FIXED,
        answers=tuple(AnswerCount(answer=a, verdict=v, count=n) for v, a, n in counted if n),
    )


NOTHING = evidence(0, 0)


def solution(name: str, *found: Evidence, verdict: Verdict = Verdict.TIMEOUT) -> Solution:
    return Solution(
        solution_id=name,
        steps=tuple(f" step {i} \n\n" for i in range(len(found))),
        answer="4",
        verdict=verdict,
        num_samples=1,
        num_tokens=9,
        finish_reason=FinishReason.STOP,
        evidence=found,
    )


def group(*solutions: Solution) -> ProblemGroup:
    return ProblemGroup(
        problem_id="p",
        question="What is 2 + 2?",
        answer="4",
        sampled=evidence(4, 4),
        solutions=solutions,
        num_rollout_tokens=100,
    )


def rows(*solutions: Solution) -> list[PublishedSolution]:
    return list(publish_group(group(*solutions), HardEstimation(), PROVENANCE).solutions)


def test_a_complete_solution_has_as_many_labels_as_steps() -> None:
    (row,) = rows(solution("s", evidence(1, 1), evidence(0, 2), NOTHING, verdict=Verdict.CORRECT))
    assert row.completions == ("step 0", "step 1", "step 2")
    assert row.labels == row.step_labels == (True, False, True)
    assert row.unlabelled_steps == ()
    assert row.first_error == 1
    assert row.mc_scores == (0.5, 0.0, 1.0)
    assert row.progress == (1.0, 0.0, None)
    assert row.num_rollouts == (2, 2, 0)
    assert (row.root_num_rollouts, row.root_num_correct) == (8, 4)
    assert (row.answer, row.is_correct, row.reference_answer) == ("4", True, "4")
    assert all(len(getattr(row, name)) == 3 for name in PER_STEP)


def test_a_gap_cuts_the_labels_and_keeps_what_is_known_behind_it() -> None:
    (row,) = rows(solution("s", evidence(1, 0), NOTHING, evidence(0, 1)))
    assert row.completions == ("step 0",)
    assert row.labels == (True,)
    assert row.unlabelled_steps == ("step 1", "step 2")
    assert row.step_labels == (True, None, False)
    assert row.first_error == 2
    assert row.is_correct is None


def test_nothing_at_the_first_step_gives_no_row() -> None:
    assert rows(solution("s", NOTHING, evidence(1, 1))) == []


def test_the_labeler_decides() -> None:
    half = solution("s", evidence(1, 3), evidence(1, 3))
    (row,) = publish_group(group(half), RelativeProgress(), PROVENANCE).solutions
    assert row.labels == (False, True)


def test_dropped_and_failed_groups_have_no_rows() -> None:
    for status in (Status.DROPPED, Status.FAILED):
        lost = ProblemGroup(problem_id="p", question="", answer="", status=status, reason="why")
        assert publish_group(lost, HardEstimation(), PROVENANCE) == PublishedGroup()


@pytest.mark.parametrize("name", PER_STEP)
def test_columns_of_unequal_length_are_refused(name: str) -> None:
    (row,) = rows(solution("s", evidence(1, 1), evidence(1, 1)))
    values = {field: getattr(row, field) for field in PublishedSolution.__slots__}
    with pytest.raises(ValueError, match=f"1 {name} for 2 steps in solution s"):
        PublishedSolution(**{**values, name: values[name][:1]})
    with pytest.raises(ValueError, match="1 labels for 2 completions in solution s"):
        PublishedSolution(**{**values, "labels": (True,)})


def test_a_summary_adds_up() -> None:
    mixed = group(
        solution("right", evidence(2, 2), NOTHING, verdict=Verdict.CORRECT),
        solution("wrong", evidence(1, 3, 1), NOTHING, verdict=Verdict.WRONG),
        solution("gap", evidence(4, 0), NOTHING, evidence(0, 4)),
        solution("nothing", NOTHING, evidence(1, 1)),
    )
    lost = {"problem_id": "q", "question": "", "answer": ""}
    summary = Summary()
    summary.add(mixed, publish_group(mixed, HardEstimation(), PROVENANCE))
    for _ in range(2):
        summary.add(ProblemGroup(**lost, status=Status.DROPPED, reason="no"), PublishedGroup())
    summary.add(ProblemGroup(**lost, status=Status.FAILED, reason="KeyError: x"), PublishedGroup())
    assert summary.as_dict() == {
        "num_problems": 4,
        "num_problems_ok": 1,
        "num_solutions": 3,
        "num_solutions_correct": 1,
        "num_solutions_graded": 2,
        "num_steps": 7,
        "num_good": 4,
        "num_bad": 2,
        "num_undecided": 1,
        "num_claims": 0,
        "num_decided": 0,
        "claimed_errors": 0.0,
        "num_samples": 8,
        "num_samples_correct": 4,
        "num_sample_tokens": 80,
        "num_rollouts": 16,
        "num_rollouts_ungraded": 1,
        "num_rollouts_truncated": 0,
        "num_rollout_tokens": 100,
        "num_rationales": 0,
        "num_rationale_rows": 0,
        "num_consensus": 0,
        "num_teacher_tokens": 0,
        "num_sections_redrawn": 0,
        "num_contradictions": 0,
        "num_code_blocks": 0,
        "num_code_failures": 0,
        "rationales_dropped": {},
        "num_without_error": 1,
        "dropped": {"problems: no": 2, f"solutions: {NO_LABEL}": 1},
        "failed": {"KeyError: x": 1},
    }


def test_summaries_share_no_counters() -> None:
    Summary().dropped["problems: no"] += 1
    assert Summary().as_dict()["dropped"] == {}


def test_a_claim_names_what_it_rests_on() -> None:
    recipe = load_recipe("adaptive")
    summary = Summary(num_claims=8, num_decided=6, claimed_errors=0.4)
    claim = claim_of(recipe.description, summary)
    assert claim == {
        "claimed_error": 0.05,
        "share_decided": 0.75,
        "prior": digest_of(recipe.description["labeler"]["prior"]),
        "price": 0.01,
        "cost_ratio": 1.0,
    }
    dearer = replace(recipe, labeler=adaptive(prior=ChainPrior(dead=0.3)).labeler)
    assert claim_of(dearer.description, summary) != claim


def test_labels_without_probabilities_claim_nothing() -> None:
    assert claim_of(load_recipe("math-shepherd").description, Summary(num_steps=9)) is None
