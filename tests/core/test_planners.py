"""Planners ask for what is missing, stop, and spend nothing on what is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.core.chain import Chain, Counts
from factory.core.labelers import HardEstimation
from factory.core.planners import FixedK, KByDifficulty, Plan, Planner, UntilFirstSuccess
from schemas.records import StopReason, Verdict
from tests.core.chains import chain

R, W, T = Verdict.CORRECT, Verdict.WRONG, Verdict.TIMEOUT
PLANNERS: list[Planner] = [
    FixedK(num_rollouts=5),
    KByDifficulty(num_rollouts_hard=9, num_rollouts_medium=6, num_rollouts_easy=3, num_root=4),
    UntilFirstSuccess(max_rollouts=5, batch=2),
]


def count(verdicts: list[Verdict]) -> Counts:
    return Counts(
        num_rollouts=sum(v.is_decided for v in verdicts),
        num_correct=verdicts.count(R),
        num_issued=len(verdicts),
    )


def run(planner: Planner, outcomes: list[list[Verdict]], is_correct: bool | None) -> Chain:
    """What a planner's loop ends with, when rollout i at prefix n always comes to outcomes[n][i].

    Fails when it goes on for ever.
    """
    issued = [0] * len(outcomes)
    for _ in range(100):
        root, *steps = (count(o[:n]) for o, n in zip(outcomes, issued, strict=True))
        seen = Chain(root=root, steps=tuple(steps), is_correct=is_correct)
        plan = planner.plan(seen)
        if not plan:
            return seen
        assert all(num_more > 0 for num_more in plan.values())
        for prefix, num_more in plan.items():
            issued[prefix] += num_more
    raise AssertionError(f"{planner} never ends")


OUTCOMES = st.lists(
    st.lists(st.sampled_from([R, W, T]), min_size=16, max_size=16), min_size=2, max_size=6
)
KNOWN = st.sampled_from([True, False, None])


@given(OUTCOMES, KNOWN, st.integers(1, 10), st.integers(1, 10))
def test_until_first_success_gives_the_labels_of_fixed_k(
    outcomes: list[list[Verdict]], is_correct: bool | None, most: int, batch: int
) -> None:
    label = HardEstimation()
    fixed = run(FixedK(num_rollouts=most), outcomes, is_correct)
    early = run(UntilFirstSuccess(max_rollouts=most, batch=batch), outcomes, is_correct)
    assert [s.label for s in label(early)] == [s.label for s in label(fixed)]
    for few, all_ in zip(early.steps, fixed.steps, strict=True):
        assert few.num_issued <= all_.num_issued


@given(OUTCOMES, KNOWN, st.sampled_from(PLANNERS))
def test_no_planner_asks_for_ever_nor_at_a_known_outcome(
    outcomes: list[list[Verdict]], is_correct: bool | None, planner: Planner
) -> None:
    ended = run(planner, outcomes, is_correct)
    if is_correct is not None:
        assert ended.steps[-1].num_issued == 0


@pytest.mark.parametrize("planner", PLANNERS)
def test_ungraded_rollouts_end_too(planner: Planner) -> None:
    ended = run(planner, [[T] * 16] * 4, None)
    assert all(counts.num_rollouts == 0 < counts.num_issued for counts in ended.steps)


def test_fixed_k_asks_once_and_for_a_missing_root() -> None:
    planner = FixedK(num_rollouts=8)
    assert planner.plan(chain(None, [None] * 3, True)) == {0: 8, 1: 8, 2: 8}
    assert planner.plan(chain(0.5, [None] * 3, None)) == {1: 8, 2: 8, 3: 8}
    done = Counts(num_rollouts=7, num_correct=0, num_issued=8)
    assert planner.plan(Chain(root=done, steps=(done, Counts()), is_correct=False)) == {}


@pytest.mark.parametrize("planner", [FixedK(num_rollouts=8), UntilFirstSuccess()])
def test_a_single_step_with_a_known_outcome_needs_nothing(planner: Planner) -> None:
    assert planner.plan(chain(0.5, [None], True)) == {}


@pytest.mark.parametrize(
    ("num_correct", "num_rollouts", "k"),
    [(0, 32, 128), (9, 100, 128), (1, 10, 64), (89, 100, 64), (9, 10, 32), (32, 32, 32)],
)
def test_k_by_difficulty_has_the_papers_bands(num_correct: int, num_rollouts: int, k: int) -> None:
    root = Counts(num_correct=num_correct, num_rollouts=num_rollouts, num_issued=num_rollouts)
    unknown = Chain(root=root, steps=(Counts(), Counts()), is_correct=True)
    assert KByDifficulty().plan(unknown) == {1: k}


def test_k_by_difficulty_buys_a_missing_root_first() -> None:
    assert KByDifficulty(num_root=10).plan(chain(None, [None, None], True)) == {0: 10}


def test_a_root_that_could_not_be_graded_counts_as_hard() -> None:
    ungraded = Chain(root=Counts(num_issued=32), steps=(Counts(),), is_correct=None)
    assert KByDifficulty().plan(ungraded) == {1: 128}


def test_until_first_success_goes_on_where_nothing_was_right() -> None:
    planner = UntilFirstSuccess(max_rollouts=8, batch=3)
    some = [
        Counts(num_rollouts=n, num_correct=c, num_issued=n) for n, c in [(3, 0), (3, 1), (6, 0)]
    ]
    plan: Plan = planner.plan(Chain(root=Counts(), steps=tuple(some), is_correct=None))
    assert plan == {1: 3, 3: 2}


def test_stop_reasons_tell_a_success_from_a_full_count() -> None:
    planner = UntilFirstSuccess()
    wrong = Counts(num_rollouts=8, num_issued=8)
    right = Counts(num_rollouts=4, num_correct=1, num_issued=4)
    assert planner.stop_reason(wrong) is StopReason.FIXED
    assert planner.stop_reason(right) is StopReason.FIRST_SUCCESS
    assert FixedK(num_rollouts=4).stop_reason(right) is StopReason.FIXED


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FixedK(num_rollouts=0), "num_rollouts must be at least 1, not 0"),
        (lambda: UntilFirstSuccess(batch=0), "batch must be at least 1"),
        (lambda: KByDifficulty(num_root=-1), "num_root must be at least 1"),
        (lambda: KByDifficulty(medium_from=0.9, easy_from=0.1), "bands must rise"),
    ],
)
def test_an_impossible_planner_is_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=message):
        make()
