"""What each step teaches, by kind of label, and which steps teach nothing."""

from collections import Counter
from math import nan
from pathlib import Path
from typing import Any

import pytest

from factory.training.settings import TrainSettings
from factory.training.targets import (
    AFTER_ERROR,
    NO_LABEL,
    NO_ROLLOUTS,
    NO_SCORE,
    UNDECIDED,
    Target,
    TargetError,
    labelled_steps,
)

PLAIN = {"prompt": "q", "completions": ["a", "b", "c"], "labels": [True, False, True]}
PUBLISHED = {
    "prompt": "q",
    "completions": ["a", "b"],
    "labels": [True, True],
    "unlabelled_steps": ["c", "d"],
    "step_labels": [True, True, None, False],
    "mc_scores": [0.75, 0.5, None, 0.0],
    "value_means": [0.7, 0.6, 0.5, 0.1],
    "num_rollouts": [8, 4, 0, 0],
    "num_correct": [6, 2, 0, 0],
    "stop_reasons": ["price", "price", "prompt_too_long", "known_outcome"],
    "p_good": [0.9, 0.6, None, 0.2],
    "is_decided": [True, False, None, True],
    "solution_id": "s",
}
G, B, NONE = Target(good=1), Target(bad=1), Target()


def settings(**given: Any) -> TrainSettings:
    return TrainSettings(data="d", model="m", out=Path("o"), **given).with_schedule(None)


@pytest.mark.parametrize(
    ("row", "given", "targets", "masked"),
    [
        (PLAIN, {}, (G, B, NONE), {AFTER_ERROR: 1}),
        (PLAIN, {"after_error": "keep"}, (G, B, G), {}),
        (PUBLISHED, {}, (G, NONE, NONE, B), {UNDECIDED: 1, NO_LABEL: 1}),
        (PUBLISHED, {"undecided": "keep"}, (G, G, NONE, B), {NO_LABEL: 1}),
    ],
)
def test_hard_labels_are_one_or_the_other(
    row: dict[str, Any], given: dict[str, str], targets: tuple[Target, ...], masked: dict[str, int]
) -> None:
    found = labelled_steps(row, settings(**given))
    assert (found.targets, found.masked) == (targets, Counter(masked))
    assert len(found.steps) == len(targets)


def test_soft_labels_are_posterior_means_where_there_are_any() -> None:
    found = labelled_steps(PUBLISHED, settings(labels="soft"))
    assert [t.good for t in found.targets] == [0.7, 0.6, 0.5, 0.1]
    assert [t.mass for t in found.targets] == pytest.approx([1.0] * 4)
    scores = labelled_steps(PUBLISHED, settings(labels="soft", soft_from="mc_scores"))
    assert [t.good for t in scores.targets] == [0.75, 0.5, 0.0, 0.0]
    assert scores.masked == {NO_SCORE: 1}
    without = PUBLISHED | {"value_means": [None] * 4}
    assert labelled_steps(without, settings(labels="soft")) == scores


@pytest.mark.parametrize(
    ("after_error", "last"), [("mask", NONE), ("keep", Target(good=0.25, bad=0.75))]
)
def test_trls_labels_are_soft_ones_where_they_are_numbers(after_error: str, last: Target) -> None:
    row = PLAIN | {"labels": [0.5, 0.0, 0.25]}
    found = labelled_steps(row, settings(labels="soft", after_error=after_error))
    assert found.targets == (Target(good=0.5, bad=0.5), B, last)


def test_soft_labels_and_counts_do_without_hard_ones() -> None:
    steps = {"prompt": "q", "completions": ["a", "b", "c"]}
    soft = labelled_steps(steps | {"mc_scores": [0.5, 0.0, 0.5]}, settings(labels="soft"))
    assert soft.targets == (Target(good=0.5, bad=0.5), B, NONE)
    rollouts = {"num_rollouts": [4, None, 4], "num_correct": [0, None, 2]}
    counts = labelled_steps(steps | rollouts, settings(labels="counts"))
    assert counts.targets == (Target(bad=4), NONE, NONE)
    assert counts.masked == {AFTER_ERROR: 2}
    kept = labelled_steps(steps | rollouts, settings(labels="counts", after_error="keep"))
    assert kept.targets == (Target(bad=4), NONE, Target(good=2, bad=2))


def test_counts_weigh_a_rollout_as_one_and_a_known_outcome_as_the_average_step() -> None:
    found = labelled_steps(PUBLISHED, settings(labels="counts"))
    assert found.targets == (
        Target(good=6, bad=2),
        Target(good=2, bad=2),
        NONE,
        Target(good=0, bad=6),
    )
    assert found.masked == {NO_ROLLOUTS: 1}
    nothing = {"num_rollouts": [0] * 4, "num_correct": [0] * 4}
    assert labelled_steps(PUBLISHED | nothing, settings(labels="counts")).targets[-1] == B


def test_a_hard_label_weighs_as_much_as_it_is_probably_right() -> None:
    found = labelled_steps(PUBLISHED, settings(weigh_by_probability=True, undecided="keep"))
    assert found.targets == (Target(good=0.9), Target(good=0.6), NONE, Target(bad=0.8))


@pytest.mark.parametrize(
    ("row", "given", "message"),
    [
        (PLAIN | {"labels": [True]}, {}, "1 labels for 3 steps"),
        (PLAIN | {"prompt": None}, {}, "prompt is None and no text"),
        (PLAIN | {"prompt": [{"role": "user", "content": "q"}]}, {}, "and no text"),
        (PLAIN | {"completions": None}, {}, "no list of texts"),
        (PLAIN | {"completions": "abc"}, {}, "no list of texts"),
        (PLAIN | {"completions": ["a", None, "c"]}, {}, "no list of texts"),
        (PLAIN | {"labels": [0.5, 1.0, 1.0]}, {}, "neither true, false nor null .* --labels soft"),
        (PLAIN | {"labels": None}, {}, "no labels .* choose --labels soft or counts"),
        (PLAIN, {"labels": "soft"}, "no mc_scores .* choose --labels hard"),
        (PLAIN, {"labels": "soft", "soft_from": "value_means"}, "leave out --soft-from"),
        (PLAIN, {"labels": "counts"}, "no num_rollouts .* choose --labels hard"),
        (PLAIN, {"weigh_by_probability": True}, "no p_good .* leave out"),
        (PLAIN | {"labels": [0.5, 1.5, 0.0]}, {"labels": "soft"}, "labels has 1.5"),
        (PUBLISHED | {"p_good": [1.0]}, {"weigh_by_probability": True}, "1 p_good for 4 steps"),
        (PLAIN | {"mc_scores": [1.5, 1, 0]}, {"labels": "soft"}, "mc_scores has 1.5"),
        (
            PUBLISHED | {"num_correct": [99] * 4},
            {"labels": "counts"},
            "99 of . rollouts are",
        ),
    ],
)
def test_rows_that_contradict_themselves_are_refused(
    row: dict[str, Any], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(TargetError, match=message):
        labelled_steps(row, settings(**given))


def test_a_score_that_is_not_a_number_is_absent() -> None:
    found = labelled_steps(PLAIN | {"mc_scores": [nan, 0.5, 0.0]}, settings(labels="soft"))
    assert found.targets[0] == NONE
    assert found.targets[1] == Target(good=0.5, bad=0.5)


def test_an_undecided_error_ends_no_row() -> None:
    row = {**PLAIN, "labels": [True, False, False, False], "completions": ["a", "b", "c", "d"]}
    row |= {"is_decided": [True, False, True, True]}
    found = labelled_steps(row, settings())
    assert found.targets == (G, NONE, B, NONE)
    assert found.masked == {UNDECIDED: 1, AFTER_ERROR: 1}


@pytest.mark.parametrize("given", [{"labels": "soft"}, {"labels": "counts"}, {"undecided": "keep"}])
def test_nor_where_it_is_learnt_itself(given: dict[str, str]) -> None:
    row = {**PLAIN, "labels": [True, False, False, False], "completions": ["a", "b", "c", "d"]}
    row |= {"is_decided": [True, False, True, True], "mc_scores": [0.75, 0.5, 0.0, 0.0]}
    row |= {"num_rollouts": [8] * 4, "num_correct": [6, 4, 0, 0]}
    found = labelled_steps(row, settings(**given))
    assert [target.mass > 0 for target in found.targets] == [True, True, True, False]
    assert found.masked == {AFTER_ERROR: 1}


def test_words_are_no_soft_labels() -> None:
    row = {**PLAIN, "labels": ["+", "-", "+"]}
    with pytest.raises(TargetError, match="labels are not numbers from 0 to 1"):
        labelled_steps(row, settings(labels="soft"))
