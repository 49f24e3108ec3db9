"""Rows as the public datasets have them, and their irregular ones."""

import json
from dataclasses import fields
from typing import Any

import pytest

from schemas.interchange import (
    math_aps,
    math_shepherd,
    prm800k,
    processbench,
    published,
    rlhflow,
    thinkprm,
)
from schemas.interchange.labelled import LabelledSolution, Loss, Skip, metadata_of
from schemas.interchange.prm800k_path import NeutralRating
from schemas.published import PublishedSolution

GOOD, BAD, NONE = NeutralRating.GOOD, NeutralRating.BAD, NeutralRating.NONE


def shepherd(tagged: str, signs: str, **more: Any) -> LabelledSolution:
    """What is read of such an input, whose tags have these signs as their labels."""
    pieces = tagged.split("ки")
    marked = "".join(p + s for p, s in zip(pieces, [*signs, ""], strict=True))
    (read,) = math_shepherd.read({"input": tagged, "label": marked, "task": "GSM8K", **more})
    return read


def test_math_shepherd_is_split_at_its_tags() -> None:
    read = shepherd("Janet pays? Step 1: 3 * 40 = 120. ки\nStep 2: So\n623 - it is. ки", "+-")
    assert read.question == "Janet pays?"
    assert read.steps == ("3 * 40 = 120.", "So\n623 - it is.")
    assert read.labels == (True, False)
    assert metadata_of(read) == {"task": "GSM8K"}


def test_a_first_step_in_several_parts_keeps_its_text() -> None:
    """As in some 30 rows: the numbers are not those of the parts, so they stay."""
    read = shepherd("q Step 1: a ки\nb ки\nStep 2: c ки", "++-")
    assert read.steps == ("Step 1: a", "b", "Step 2: c")


def test_letters_of_a_word_are_no_tag() -> None:
    row = {
        "input": "руки? Step 1: a ки\nStep 2: руки ки",
        "label": "руки? Step 1: a +\nStep 2: руки -",
    }
    (read,) = math_shepherd.read(row)
    assert (read.question, read.steps) == ("руки?", ("a", "руки"))
    with pytest.raises(Skip, match="the tag 'ки'"):
        math_shepherd.kept(read)


def test_text_after_the_last_tag_is_a_step_without_a_label() -> None:
    read = shepherd("q Step 1: a ки\nStep 2: cut of", "+")
    assert (read.steps, read.labels) == (("a", "cut of"), (True, None))


def test_values_are_soft_scores_or_the_labels_again() -> None:
    assert shepherd("q Step 1: a ки", "+", value=[0.25]).scores == (0.25,)
    assert shepherd("q Step 1: a ки", "+", value=["+"]).scores is None
    (read,) = math_shepherd.read({"input": "q Step 1: a ки", "value": ["-"]})
    assert read.labels == (False,)
    (read,) = math_shepherd.read({"input": "q Step 1: a ки\nb", "value": [0.5]})
    assert (read.labels, read.scores) == ((None, None), (0.5, None))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"input": "q? a ки\nStep 1: b ки", "label": "q? a +\nStep 1: b +"}, "no 'Step 1:'"),
        ({"input": "q Step 1: a", "label": "q Step 1: a"}, "no tag"),
        ({"input": "q Step 1: a ки", "label": "q Step 1: b +"}, "differ in more"),
        ({"input": "q Step 1: a ки", "label": "q Step 1: a + "}, "differ in more"),
        ({"input": "q Step 1: a ки ки", "label": "q Step 1: a + +"}, "a step without text"),
        ({"input": "q Step 1: a ки", "label": "q Step 1: a +", "value": ["-"]}, "disagree"),
        ({"input": "q Step 1: a ки", "label": "q Step 1: a +", "value": [1, 1]}, "as many values"),
    ],
)
def test_irregular_rows_of_math_shepherd_are_left_out(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(Skip, match=reason):
        math_shepherd.read(row)


def test_math_shepherd_is_written_with_equal_lengths() -> None:
    solution = LabelledSolution(question="q?", steps=("a", "b"), labels=(True, False))
    row = math_shepherd.write(math_shepherd.kept(solution))
    assert row["input"] == "q? Step 1: a ки\nStep 2: b ки"
    assert row["label"] == "q? Step 1: a +\nStep 2: b -"
    assert len(row["input"].replace("ки", "#")) == len(row["label"])


def test_steps_that_number_themselves_are_numbered_once() -> None:
    solution = LabelledSolution(question="", steps=("Step 1: a", "step 2: b"), labels=(True, True))
    row = math_shepherd.write(math_shepherd.kept(solution))
    assert row["input"] == "Step 1: a ки\nStep 2: b ки"


def test_a_question_that_hides_its_end_is_left_out() -> None:
    solution = LabelledSolution(question="Is Step 1: right?", steps=("a",), labels=(True,))
    for kept in (math_shepherd.kept, rlhflow.kept):
        with pytest.raises(Skip, match="the question has 'Step 1:'"):
            kept(solution)


@pytest.mark.parametrize(
    ("label", "labels"), [(-1, (True,) * 3), (0, (False, None, None)), (2, (True, True, False))]
)
def test_processbench_says_nothing_of_what_follows_the_first_error(label: int, labels: Any) -> None:
    row = {
        "id": "gsm8k-0", "generator": "Qwen2-7B", "problem": "q", "steps": ["a", "b", "c"],
        "final_answer_correct": label == -1, "label": label,
    }  # fmt: skip
    (read,) = processbench.read(row)
    assert (read.labels, read.source_id, read.is_correct) == (labels, "gsm8k-0", label == -1)
    assert processbench.write(read) == row


@pytest.mark.parametrize("label", [-2, 3, None, True, "1", 1.5])
def test_processbench_labels_point_at_a_step(label: Any) -> None:
    with pytest.raises(ValueError, match="'label' must be -1 or a step, 0 to 2, not"):
        processbench.read({"problem": "q", "steps": ["a", "b", "c"], "label": label})


@pytest.mark.parametrize("labels", [(None, False), (True, None), (None, None)])
def test_an_open_first_error_is_not_exported_to_processbench(labels: Any) -> None:
    with pytest.raises(Skip, match="leaves the first error open"):
        processbench.kept(LabelledSolution(question="q", steps=("a", "b"), labels=labels))


def turns(*contents: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"conversations": [{"role": roles[i % 2], "content": c} for i, c in enumerate(contents)]}


def test_rlhflow_alternates_steps_and_signs() -> None:
    row = turns("q? Step 1: a", "+", "Step 2: b", "-")
    (read,) = rlhflow.read(row)
    assert (read.question, read.steps, read.labels) == ("q?", ("a", "b"), (True, False))
    assert rlhflow.write(read) == row


def test_an_unanswered_last_step_has_no_label() -> None:
    (read,) = rlhflow.read(turns("q? Step 1: a", "+", "Step 2: b"))
    assert read.labels == (True, None)


@pytest.mark.parametrize(
    "row",
    [
        turns("q? Step 1: a", "maybe"),
        {"conversations": [{"role": "system", "content": "x"}]},
        {"conversations": ["x"]},
    ],
)
def test_other_conversations_are_errors(row: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must (be the user's|hold labels)"):
        rlhflow.read(row)


def test_math_aps_old_and_new() -> None:
    new = {"question": "q", "process": "a \n\n\n\n\nb \n\n\n\n\n", "label": ["+", "-"]}
    old = {"question": "q", "process": "Step 1: a ки\nStep 2: b ки", "labels": [1, 0]}
    (one,), (other,) = math_aps.read(new), math_aps.read(old)
    assert (one.steps, one.labels) == (("a", "b"), (True, False))
    assert (other.steps, other.labels) == (("Step 1: a", "Step 2: b"), (True, False))
    assert math_aps.write(one) == new
    with pytest.raises(Skip, match="as many labels as tags"):
        math_aps.read({**new, "label": ["+"]})


def test_thinkprm_labels_that_end_early_leave_the_rest_open() -> None:
    row = {
        "problem": "q", "prefix": "Step 1: a\nStep 2: b\nStep 3: c", "cot": "Step 1: fine",
        "prefix_steps": ["Step 1: a", "Step 2: b", "Step 3: c"], "gt_step_labels": ["+", "-"],
        "prefix_label": False,
    }  # fmt: skip
    (read,) = thinkprm.read(row)
    assert (read.steps, read.labels) == (("a", "b", "c"), (True, False, None))
    assert metadata_of(read) == {"cot": "Step 1: fine"}
    with pytest.raises(Skip, match="more labels than steps"):
        thinkprm.read({**row, "gt_step_labels": ["+"] * 4})


def step(*rated: tuple[str, int | None], chosen: int | None = 0, human: Any = None) -> Any:
    return {
        "completions": [{"text": t, "rating": r, "flagged": False} for t, r in rated],
        "human_completion": human,
        "chosen_completion": chosen,
    }


def prm(*steps: Any, finish: str = "found_error", **question: Any) -> dict[str, Any]:
    return {
        "labeler": "me", "timestamp": "2023", "generation": 9,
        "is_quality_control_question": True, "is_initial_screening_question": False,
        "question": {"problem": "q", "ground_truth_answer": "43", **question},
        "label": {"steps": list(steps), "total_time": 278, "finish_reason": finish},
    }  # fmt: skip


PHASE_2 = prm(
    step(("a", 1)),
    step(("b", 0)),
    step(("c", -1), ("c2", 0), ("c3", 1), chosen=None),
    pre_generated_steps=["a", "b", "c", "d"],
    pre_generated_answer="7",
)


@pytest.mark.parametrize(("neutral", "label"), [(GOOD, True), (BAD, False), (NONE, None)])
def test_a_neutral_rating_is_what_it_is_said_to_be(neutral: NeutralRating, label: Any) -> None:
    (read,) = prm800k.read(PHASE_2, neutral=neutral)
    assert read.steps == ("a", "b", "c", "d")
    assert read.labels == (True, label, False, None)
    assert (read.reference_answer, read.answer, read.is_correct) == ("43", "7", None)
    assert metadata_of(read) == {
        "labeler": "me", "timestamp": "2023", "generation": 9,
        "is_quality_control_question": True, "total_time": 278,
    }  # fmt: skip


def test_alternatives_end_where_they_branch_off() -> None:
    _, *others = prm800k.read(PHASE_2, neutral=GOOD, alternatives=True)
    assert [(o.steps, o.labels) for o in others] == [
        (("a", "b", "c2"), (True, True, True)),
        (("a", "b", "c3"), (True, True, True)),
    ]
    assert all(o.answer is None and o.is_correct is None for o in others)


def test_what_prm800k_readers_leave_out_is_named() -> None:
    assert prm800k.read_losses(PHASE_2) == {Loss.NEUTRAL_RATINGS, Loss.ALTERNATIVES}
    assert prm800k.read_losses(PHASE_2, alternatives=True) == {Loss.NEUTRAL_RATINGS}
    assert prm800k.read_losses(prm(ground_truth_solution="x")) == {Loss.COLUMNS}


@pytest.mark.parametrize("human", ["h", {"text": "h", "rating": None, "source": "human"}])
def test_a_human_step_is_good(human: Any) -> None:
    row = prm(
        step(("a", -1), ("b", -1), chosen=None, human=human),
        step(("c", None), ("d", 1), chosen=1),
        finish="solution",
    )
    main, *others = prm800k.read(row, neutral=GOOD, alternatives=True)
    assert (main.steps, main.labels, main.is_correct) == (("h", "d"), (True, True), True)
    assert metadata_of(main)["human_steps"] == [0]
    assert [(o.steps, o.labels) for o in others] == [
        (("a",), (False,)), (("b",), (False,)), (("h", "c"), (True, None)),
    ]  # fmt: skip


def test_a_step_that_nobody_filled_ends_the_solution() -> None:
    empty = {"completions": None, "human_completion": None, "chosen_completion": None}
    (read,) = prm800k.read(prm(step(("a", 1)), empty, step(("b", 1))), neutral=GOOD)
    assert read.steps == ("a",)
    with pytest.raises(Skip, match="no steps"):
        prm800k.read(prm(empty), neutral=GOOD)


@pytest.mark.parametrize("finish", ["bad_problem", "give_up"])
def test_problems_given_up_are_left_out(finish: str) -> None:
    with pytest.raises(Skip, match=finish):
        prm800k.read(prm(step(("a", 1)), finish=finish), neutral=GOOD)


@pytest.mark.parametrize(
    "row",
    [
        prm(step(("a", 2))),
        prm(step(("a", [1]))),  # type: ignore[arg-type]
        prm(step(("a", 1), chosen=1)),
        prm("a"),
        prm({"completions": ["a"]}),
        {**prm(), "question": None},
    ],
)
def test_rows_that_are_not_prm800ks_are_errors(row: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="'") as raised:
        prm800k.read(row, neutral=GOOD)
    assert not isinstance(raised.value, Skip)


def published_row(**changes: Any) -> dict[str, Any]:
    """The columns that are read, of three steps of which the last has no label."""
    return {
        "prompt": "q", "completions": ["a", "b"], "labels": [True, False],
        "unlabelled_steps": ["c"], "step_labels": [True, False, None],
        "mc_scores": [0.5, 0.0, None], "value_means": [None, None, None], "answer": "7",
        "is_correct": False, "reference_answer": "43", "problem_id": "p", "solution_id": "s",
        "metadata": '{"level": 3}', "recipe": "genprm", "digest": "d", "generator": "g",
        "completer": "c", **changes,
    }  # fmt: skip


def test_the_columns_read_are_published() -> None:
    assert published_row().keys() <= {f.name for f in fields(PublishedSolution)}


def test_published_rows_come_with_all_their_steps() -> None:
    (read,) = published.read(published_row())
    assert read == LabelledSolution(
        question="q",
        steps=("a", "b", "c"),
        labels=(True, False, None),
        scores=(0.5, 0.0, None),
        answer="7",
        reference_answer="43",
        is_correct=False,
        source_id="s",
        metadata=json.dumps(
            {
                "problem_id": "p", "recipe": "genprm", "digest": "d", "generator": "g",
                "completer": "c", "metadata": {"level": 3},
            }
        ),
    )  # fmt: skip


def test_posterior_means_are_the_soft_scores_where_there_are_any() -> None:
    (read,) = published.read(published_row(value_means=[0.625, 0.125, None]))
    assert read.scores == (0.625, 0.125, None)


def test_labels_without_counts_have_no_soft_scores() -> None:
    (read,) = published.read(published_row(mc_scores=[None, None, None], completer=None))
    assert read.scores is None
    assert "completer" not in metadata_of(read)
