"""Given labels: one row per question, labels parallel to the solutions a job will read."""

from typing import Any

from schemas.interchange.given import labels_from_given
from schemas.interchange.labelled import LabelledSolution, Loss


def solution(*steps: str, labels: Any = None, question: str = "q", **more: Any) -> LabelledSolution:
    known = {"reference_answer": "72", **more}
    return LabelledSolution(
        question=question, steps=steps, labels=labels or (True,) * len(steps), **known
    )


def test_nothing_gives_nothing() -> None:
    assert labels_from_given([]).rows == ()


def test_solutions_of_a_question_share_a_row() -> None:
    made = labels_from_given(
        [
            solution("a", "b", labels=(True, None)),
            solution("c", question="r"),
            solution("d", labels=(False,)),
        ]
    )
    assert made.rows == (
        {
            "question": "q", "answer": "72", "solutions": [["a", "b"], ["d"]],
            "labels": [[True, None], [False]],
        },
        {"question": "r", "answer": "72", "solutions": [["c"]], "labels": [[True]]},
    )  # fmt: skip
    assert (made.skipped, made.lost) == ({}, {})


def test_labels_that_disagree_are_none_whoever_is_in_the_majority() -> None:
    """As PRM800K's quality control has them: several people label the same solution."""
    made = labels_from_given(
        [
            solution("a", "b", "c", "d", labels=(True, True, False, None)),
            solution("a", "b", "c", "d", labels=(True, False, None, None)),
            solution("a", "b", "c", "d", labels=(True, True, False, None)),
        ]
    )
    assert made.rows[0]["solutions"] == [["a", "b", "c", "d"]]
    assert made.rows[0]["labels"] == [[True, None, False, None]]
    assert made.lost == {Loss.DISAGREEMENTS: 1}


def test_what_a_job_could_not_read_is_left_out_with_a_reason() -> None:
    made = labels_from_given(
        [
            solution("a", "b"),
            solution("a\n\nb"),
            solution("a", question=" "),
            solution("e", reference_answer=None),
            solution("e", reference_answer="73"),
        ]
    )
    assert [row["solutions"] for row in made.rows] == [[["a", "b"]]]
    assert made.skipped == {
        "the text of another solution, split otherwise": 1,
        "no question": 1,
        "no reference answer": 1,
        "another reference answer than the question's first": 1,
    }


def test_what_such_rows_cannot_hold_is_counted() -> None:
    made = labels_from_given([solution("a", answer="7", scores=(0.5,), metadata='{"x": 1}')])
    assert made.lost == {Loss.ANSWER: 1, Loss.SCORES: 1, Loss.METADATA: 1}
