"""What is kept and what is dropped adds up, and each drop has its reason."""

import random
from dataclasses import replace

import pytest

from factory.core import consensus as c
from factory.core.consensus import (
    Agreement,
    Candidate,
    Consensus,
    Decision,
    ProblemLimits,
    Undecided,
    balanced,
    decided_labels,
    dropped,
    funnel,
    voted,
)
from factory.core.labelers import RelativeProgress, StepLabel
from factory.core.teachers.form import EMPTY, Reading, reading_at
from tests.core.chains import chain

G, B, U = True, False, None
KEEP = None


def decide(
    labels: tuple[bool | None, ...],
    first_error: int | None,
    agreement: Agreement = Agreement.STEPS,
    undecided: Undecided = Undecided.DROP,
) -> str | None:
    filter_ = Consensus(agreement=agreement, undecided=undecided)
    return filter_(labels, reading_at(first_error, len(labels)), 10).reason


@pytest.mark.parametrize("agreement", Agreement)
@pytest.mark.parametrize("undecided", Undecided)
@pytest.mark.parametrize(
    ("labels", "first_error", "reason"),
    [
        ((), None, KEEP),
        ((G,), None, KEEP),
        ((B,), 0, KEEP),
        ((G,), 0, c.DISAGREES),
        ((B,), None, c.DISAGREES),
        ((G, B, B), 1, KEEP),
        ((G, B, G), 1, KEEP),
        ((G, B, U), 1, KEEP),
        ((G, B, B), 2, c.DISAGREES),
        ((G, G, B), 1, c.DISAGREES),
        ((G, G, B), None, c.DISAGREES),
        ((G, G, G), 2, c.DISAGREES),
    ],
)
def test_nothing_after_the_earlier_first_error_is_compared(
    labels: tuple[bool | None, ...],
    first_error: int | None,
    reason: str | None,
    agreement: Agreement,
    undecided: Undecided,
) -> None:
    assert decide(labels, first_error, agreement, undecided) == reason


@pytest.mark.parametrize(
    ("labels", "first_error", "of_steps", "of_first_error"),
    [
        ((U,), None, c.UNDECIDED, c.UNDECIDED),
        ((U,), 0, c.UNDECIDED, c.UNDECIDED),
        ((G, U, B), 2, c.UNDECIDED, KEEP),
        ((G, U, B), 1, c.UNDECIDED, c.UNDECIDED),
        ((G, U, B), 0, c.DISAGREES, c.DISAGREES),
        ((G, U, B), None, c.DISAGREES, c.DISAGREES),
        ((G, U, G), None, c.UNDECIDED, c.UNDECIDED),
        ((G, B, U), 2, c.DISAGREES, c.DISAGREES),
        ((U, U, U), None, c.UNDECIDED, c.UNDECIDED),
    ],
)
def test_an_undecided_step_matters_where_it_is_compared(
    labels: tuple[bool | None, ...],
    first_error: int | None,
    of_steps: str | None,
    of_first_error: str | None,
) -> None:
    for agreement, reason in zip(Agreement, (of_steps, of_first_error), strict=True):
        assert decide(labels, first_error, agreement) == reason
        as_disagreement = c.DISAGREES if reason else KEEP
        as_agreement = KEEP if reason == c.UNDECIDED else reason
        assert decide(labels, first_error, agreement, Undecided.DISAGREE) == as_disagreement
        assert decide(labels, first_error, agreement, Undecided.AGREE) == as_agreement


def test_the_readers_reason_comes_before_the_length_and_that_before_disagreement() -> None:
    keep = Consensus(max_tokens=10)
    assert keep((G,), Reading(reason=EMPTY), 11).reason == EMPTY
    assert keep((G,), reading_at(0, 1), 11).reason == c.TOO_LONG
    assert keep((G,), reading_at(0, 1), 10).reason == c.DISAGREES
    assert keep((G,), reading_at(None, 1), 10).keep
    assert Consensus(max_tokens=None)((G,), reading_at(None, 1), 10**9).keep


def test_a_reading_of_another_solution_is_refused() -> None:
    others = [((G, G), reading_at(None, 3)), ((G,), reading_at(1, 2)), ((), reading_at(0, 1))]
    for labels, reading in others:
        with pytest.raises(ValueError, match=f"for {len(labels)} labelled steps"):
            Consensus()(labels, reading, 1)


def test_labels_of_relative_progress_agree_as_in_the_paper() -> None:
    labels = decided_labels(RelativeProgress()(chain(0.5, [0.5, 0.25, 0.25, 0.0])))
    assert labels == (True, False, True, False)
    assert decide(labels, 1) is KEEP
    assert decide(labels, 3) == c.DISAGREES


def test_a_label_that_the_recipe_marks_as_undecided_is_none() -> None:
    step = StepLabel(label=True, mc_score=1.0, progress=1.0)
    marks = (None, True, False)
    steps = [replace(step, is_decided=mark) for mark in marks]
    assert decided_labels([*steps, replace(step, label=None)]) == (True, True, None, None)
    assert decided_labels([]) == ()


@pytest.mark.parametrize(
    ("first_errors", "winner"),
    [
        ([1], 1),
        ([1, 1, None], 1),
        ([None, None, 0], None),
        ([0, 1, 2, 2], 2),
    ],
)
def test_most_votes_win(first_errors: list[int | None], winner: int | None) -> None:
    assert voted(reading_at(e, 3) for e in first_errors) == reading_at(winner, 3)


def test_there_is_no_consensus_on_a_tie_or_without_votes() -> None:
    unreadable = Reading(reason=EMPTY)
    assert voted([]) is None
    assert voted([unreadable, unreadable]) is None
    assert voted([reading_at(0, 2), reading_at(None, 2)]) is None
    assert voted([unreadable, reading_at(0, 2), unreadable]) == reading_at(0, 2)


def candidates(*names: str) -> list[Candidate]:
    """Names in capitals have an error; a dash in front means dropped before."""
    return [
        Candidate(
            rationale_id=name.lstrip("-").lower(),
            reading=reading_at(0 if name.isupper() else None, 1),
            decision=Decision(reason=c.DISAGREES if name[0] == "-" else None),
        )
        for name in names
    ]


def outcome(found: tuple[Candidate, ...]) -> list[str | None]:
    return [candidate.decision.reason for candidate in found]


def test_a_problem_with_one_outcome_loses_what_it_has() -> None:
    limits = ProblemLimits(needs_both_outcomes=True)
    assert outcome(limits(candidates("a", "b", "-C"))) == [
        c.ONE_OUTCOME,
        c.ONE_OUTCOME,
        c.DISAGREES,
    ]
    assert outcome(limits(candidates("a", "B"))) == [KEEP, KEEP]
    assert limits([]) == ()
    assert outcome(ProblemLimits()(candidates("a", "b"))) == [KEEP, KEEP]


def test_the_limit_takes_both_outcomes_in_turn_by_id() -> None:
    limits = ProblemLimits(max_per_problem=3)
    over = c.OVER_LIMIT
    assert outcome(limits(candidates("c", "b", "a", "X"))) == [over, KEEP, KEEP, KEEP]
    assert outcome(limits(candidates("d", "c", "b", "a"))) == [over, KEEP, KEEP, KEEP]
    assert outcome(limits(candidates("-a", "b"))) == [c.DISAGREES, KEEP]


def test_a_rationale_drawn_twice_counts_once() -> None:
    assert outcome(ProblemLimits()(candidates("a", "b", "a"))) == [KEEP, KEEP, c.DUPLICATE]


def test_balance_keeps_as_many_with_an_error_as_without() -> None:
    lost = c.UNBALANCED
    assert outcome(balanced(candidates("c", "a", "b", "X"))) == [lost, KEEP, lost, KEEP]
    assert outcome(balanced(candidates("a", "b"))) == [lost, lost]
    assert outcome(balanced(candidates("a", "-X", "Y"))) == [KEEP, c.DISAGREES, KEEP]
    assert balanced([]) == ()


@pytest.mark.parametrize("seed", range(20))
def test_kept_and_dropped_add_up_in_any_order(seed: int) -> None:
    rng = random.Random(seed)
    names = [chr(rng.choice((97, 65)) + i % 26) for i in range(rng.randrange(40))]
    first = [replace(one, rationale_id=str(i)) for i, one in enumerate(candidates(*names))]
    limits = ProblemLimits(max_per_problem=20)
    found = balanced(limits(first))
    rng.shuffle(first)
    again = balanced(limits(first))
    assert {x.rationale_id for x in found if x.decision.keep} == {
        x.rationale_id for x in again if x.decision.keep
    }
    decisions = [candidate.decision for candidate in found]
    left = funnel(decisions)
    assert left["judged"] == len(names) == left["balanced"] + sum(dropped(decisions).values())


def test_the_funnel_tells_where_each_rationale_was_lost() -> None:
    reasons = [None, None, EMPTY, "cut", c.TOO_LONG, c.DISAGREES, c.UNDECIDED, c.UNDECIDED]
    decisions = [Decision(reason=r) for r in (*reasons, c.DUPLICATE, c.OVER_LIMIT, c.UNBALANCED)]
    assert list(funnel(decisions).items()) == [
        ("judged", 11),
        ("readable", 9),
        ("within_length", 8),
        ("agreeing", 5),
        ("within_limits", 3),
        ("balanced", 2),
    ]
    assert next(iter(dropped(decisions).items())) == (c.UNDECIDED, 2)
    assert funnel([]) == dict.fromkeys(c.STAGES, 0)
    assert dropped([]) == {}


def test_a_limit_of_none_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        ProblemLimits(max_per_problem=0)
