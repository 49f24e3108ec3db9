"""What is kept of the samples of a problem, and why a problem is dropped."""

import pytest

from factory.core.selection import NO_CORRECT, NO_SOLUTION, NO_WRONG, Selection
from schemas.generation import FinishReason
from schemas.records import ProblemGroup, Solution, Status, Verdict

R, W, NOTHING, LOST = Verdict.CORRECT, Verdict.WRONG, Verdict.NO_ANSWER, Verdict.TIMEOUT
BOTH = Selection(min_correct=1, min_wrong=1)


def solution(
    name: str, verdict: Verdict, finish: FinishReason | None = FinishReason.STOP, samples: int = 1
) -> Solution:
    return Solution(
        solution_id=name,
        steps=(name,),
        answer=None,
        verdict=verdict,
        num_samples=samples,
        num_tokens=1,
        finish_reason=finish,
    )


def group(*solutions: Solution) -> ProblemGroup:
    return ProblemGroup(problem_id="p", question="?", answer="4", solutions=solutions)


def kept(selection: Selection, *solutions: Solution) -> list[str]:
    return [s.solution_id for s in selection(group(*solutions)).solutions]


@pytest.mark.parametrize(
    ("selection", "solutions", "reason"),
    [
        (Selection(), [], NO_SOLUTION),
        (Selection(min_correct=0), [solution("cut", W, FinishReason.LENGTH)], NO_SOLUTION),
        (Selection(), [solution("w", W), solution("n", NOTHING)], NO_CORRECT),
        (Selection(), [solution("lost", LOST)], NO_CORRECT),
        (Selection(min_correct=2), [solution("r", R)], NO_CORRECT),
        (BOTH, [solution("r", R)], NO_WRONG),
        (BOTH, [solution("r", R), solution("lost", LOST)], NO_WRONG),
        (BOTH, [solution("r", R), solution("cut", NOTHING, FinishReason.LENGTH)], NO_WRONG),
        (Selection(), [solution("w", W), solution("r", R, FinishReason.REPETITION)], NO_CORRECT),
    ],
)
def test_a_problem_is_dropped_with_a_reason(
    selection: Selection, solutions: list[Solution], reason: str
) -> None:
    dropped = selection(group(*solutions))
    assert (dropped.status, dropped.reason) == (Status.DROPPED, reason)
    assert dropped.solutions == ()


def test_equal_samples_count_as_often_as_they_were_drawn() -> None:
    assert kept(Selection(min_correct=3), solution("r", R, samples=3)) == ["r"]


def test_a_solution_without_an_answer_is_wrong() -> None:
    assert kept(BOTH, solution("n", NOTHING), solution("r", R)) == ["r", "n"]


def test_truncated_solutions_are_never_kept_and_given_ones_are() -> None:
    cut = solution("cut", R, FinishReason.LENGTH)
    assert kept(Selection(), cut, solution("r", R), solution("given", W, None)) == ["r", "given"]


@pytest.mark.parametrize(
    ("most", "names"),
    [
        (None, ["r1", "w1", "r2", "w2", "w3", "lost"]),
        (7, ["r1", "w1", "r2", "w2", "w3", "lost"]),
        (3, ["r1", "w1", "r2"]),
        (1, ["r1"]),
    ],
)
def test_right_and_wrong_take_turns_in_the_order_they_were_sampled(
    most: int | None, names: list[str]
) -> None:
    sampled = [
        solution("lost", LOST),
        solution("w1", W),
        solution("w2", NOTHING),
        solution("r1", R),
        solution("w3", W),
        solution("r2", R),
    ]
    selection = Selection(max_solutions=most)
    assert kept(selection, *sampled) == names
    assert selection(group(*sampled)) == selection(group(*sampled))


@pytest.mark.parametrize("wrong", [{"min_correct": -1}, {"min_wrong": -1}, {"max_solutions": 0}])
def test_an_impossible_selection_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        Selection(**wrong)
