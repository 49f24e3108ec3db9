"""Curtailed fixed K and bisection: fewer rollouts, and exactly the labels they promise."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.core.bisection import BisectHard, MonotoneHard
from factory.core.chain import Chain, Counts
from factory.core.curtailment import CurtailedFixedK, CurtailedLabeler, extremes
from factory.core.labelers import HardEstimation, Labeler, RelativeProgress
from factory.core.planners import FixedK, Planner, UntilFirstSuccess
from factory.recipes import load_recipe
from schemas.records import StopReason, Verdict
from tests.core.chains import chain
from tests.core.test_planners import KNOWN, OUTCOMES, R, T, W, run

LABELERS = st.one_of(
    st.builds(RelativeProgress, threshold=st.sampled_from([0.3, 0.5, 0.8, 1.0, 1.5])),
    st.builds(HardEstimation, above=st.sampled_from([0.0, 0.25, 0.5, 0.9])),
)
ROOTS = st.sampled_from([None, 0.0, 0.1, 0.5, 1.0])


def labels(labeler: Labeler, ended: Chain) -> list[bool | None]:
    return [step.label for step in labeler(ended)]


def spent(ended: Chain) -> int:
    return sum(counts.num_issued for counts in ended.steps)


def run_on(
    planner: Planner,
    root: float | None,
    outcomes: list[list[Verdict]],
    is_correct: bool | None,
) -> Chain:
    """The planner's loop behind a root with these counts."""
    if root is None:
        return run(planner, outcomes, is_correct)
    known = chain(root, [None]).root
    issued = [0] * (len(outcomes) - 1)
    for _ in range(100):
        steps = [
            Counts(
                num_rollouts=sum(v is not T for v in o[:n]),
                num_correct=o[:n].count(R),
                num_issued=n,
            )
            for o, n in zip(outcomes[1:], issued, strict=True)
        ]
        seen = Chain(root=known, steps=tuple(steps), is_correct=is_correct)
        plan = planner.plan(seen)
        if not plan:
            return seen
        for prefix, num_more in plan.items():
            issued[prefix - 1] += num_more
    raise AssertionError(f"{planner} never ends")


SEQUENCES = st.lists(
    st.one_of(
        st.lists(st.sampled_from([R, W, T]), min_size=12, max_size=12),
        st.lists(st.sampled_from([R, W]), min_size=12, max_size=12),
        st.lists(st.sampled_from([W] * 11 + [R]), min_size=12, max_size=12),
        st.lists(st.sampled_from([R] * 11 + [W]), min_size=12, max_size=12),
    ),
    min_size=2,
    max_size=7,
)


@settings(max_examples=150)
@given(SEQUENCES, ROOTS, KNOWN, LABELERS, st.integers(1, 12), st.integers(1, 6))
def test_curtailed_labels_are_those_of_fixed_k(
    outcomes: list[list[Verdict]],
    root: float | None,
    is_correct: bool | None,
    labeler: RelativeProgress | HardEstimation,
    most: int,
    batch: int,
) -> None:
    planner = CurtailedFixedK(num_rollouts=most, batch=batch, labeler=labeler)
    fixed = run_on(FixedK(num_rollouts=most), root, outcomes, is_correct)
    early = run_on(planner, root, outcomes, is_correct)
    assert labels(planner.curtailed, early) == labels(labeler, fixed)
    for few, all_ in zip(early.steps, fixed.steps, strict=True):
        assert few.num_issued <= all_.num_issued
    assert labels(CurtailedLabeler(labeler=labeler, num_rollouts=most), fixed) == labels(
        labeler, fixed
    )


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.sampled_from([R, W, T]), max_size=3), min_size=1, max_size=2),
    st.sampled_from([0.0, 0.5, 1.0]),
    KNOWN,
    LABELERS,
)
def test_what_is_called_possible_is_what_some_outcome_brings(
    begun: list[list[Verdict]],
    root: float,
    is_correct: bool | None,
    labeler: RelativeProgress | HardEstimation,
) -> None:
    """Neither more nor less than every label over all ends of all sequences, K = 3."""

    def ends(seen: list[Verdict]) -> list[Counts]:
        rest = product([R, W, T], repeat=3 - len(seen))
        return [count([*seen, *more]) for more in rest]

    def count(verdicts: list[Verdict]) -> Counts:
        graded = [v for v in verdicts if v is not T]
        return Counts(
            num_rollouts=len(graded), num_correct=graded.count(R), num_issued=len(verdicts)
        )

    known_root = chain(root, [None]).root
    now = Chain(root=known_root, steps=tuple(map(count, begun)), is_correct=is_correct)
    found: list[set[bool | None]] = [set() for _ in begun]
    for steps in product(*map(ends, begun)):
        ended = Chain(root=known_root, steps=steps, is_correct=is_correct)
        for labels_, label in zip(found, labels(labeler, ended), strict=True):
            labels_.add(label)
    assert CurtailedLabeler(labeler=labeler, num_rollouts=3).possible_labels(now) == found


def test_the_plug_in_rule_is_wrong_on_curtailed_counts() -> None:
    """4 of 4 behind 5 of 5 is no drop yet, and the fifth rollout may still make it one."""
    before = Counts(num_rollouts=5, num_correct=5, num_issued=5)
    after = Counts(num_rollouts=4, num_correct=4, num_issued=4)
    now = Chain(root=before, steps=(after,), is_correct=None)
    strict = RelativeProgress(threshold=1)
    assert labels(strict, now) == [True]
    assert labels(CurtailedLabeler(labeler=strict, num_rollouts=5), now) == [None]


def test_nothing_is_bought_behind_a_certain_first_zero() -> None:
    planner = CurtailedFixedK(num_rollouts=8, batch=2)
    dead = Counts(num_rollouts=8, num_issued=8)
    root = Counts(num_rollouts=8, num_correct=8, num_issued=8)
    some = Counts(num_rollouts=2, num_correct=1, num_issued=2)
    now = Chain(root=root, steps=(dead, some, Counts(), Counts()), is_correct=False)
    assert planner.plan(now) == {}
    assert labels(planner.curtailed, now) == [False] * 4


def test_a_prefix_that_may_be_dead_is_asked_for_the_sake_of_later_steps() -> None:
    """0 of 7 behind 8 of 8 is bad either way, but whether step 2 can be good hangs on it."""
    planner = CurtailedFixedK(num_rollouts=8, batch=4)
    root = Counts(num_rollouts=8, num_correct=8, num_issued=8)
    low = Counts(num_rollouts=7, num_issued=7)
    now = Chain(root=root, steps=(low, root), is_correct=None)
    assert planner.plan(now) == {1: 1}
    assert labels(planner.curtailed, now) == [False, None]


def test_those_behind_a_prefix_that_looks_dead_wait_for_it() -> None:
    planner = CurtailedFixedK(num_rollouts=16, batch=4)
    root = Counts(num_rollouts=16, num_correct=12, num_issued=16)
    half, none_right = (Counts(num_rollouts=4, num_correct=n, num_issued=4) for n in (2, 0))
    now = Chain(root=root, steps=(half, none_right, half, half), is_correct=None)
    assert planner.plan(now) == {1: 4, 2: 12}
    in_hard = CurtailedFixedK(num_rollouts=16, batch=4, labeler=HardEstimation())
    assert in_hard.plan(now) == {2: 4}


def test_extremes_are_the_ends_of_what_can_come() -> None:
    assert extremes(Counts(num_rollouts=2, num_correct=1, num_issued=3), 2) == {
        Counts(num_rollouts=4, num_correct=n, num_issued=4) for n in (1, 3)
    }
    assert extremes(Counts(num_issued=3), 0) == {Counts()}


@given(OUTCOMES, KNOWN, st.integers(1, 10), st.integers(1, 10))
def test_a_finished_bisection_labels_every_step_that_can_be_graded(
    outcomes: list[list[Verdict]], is_correct: bool | None, most: int, batch: int
) -> None:
    planner = BisectHard(max_rollouts=most, batch=batch)
    ended = run(planner, outcomes, is_correct)
    found = labels(MonotoneHard(), ended)
    assert found == sorted(found, key=[True, None, False].index)
    for label, counts in zip(found, ended.steps, strict=True):
        assert counts.num_issued <= most
        assert label is not None or (counts.num_rollouts == 0 and counts.num_issued == most)
    if is_correct:
        assert spent(ended) == 0
        assert all(found)


@given(st.integers(1, 20), st.data(), st.integers(1, 8), KNOWN)
def test_bisection_agrees_with_hard_labels_where_counts_are_monotone(
    num_steps: int, data: st.DataObject, batch: int, is_correct: bool | None
) -> None:
    """Alive prefixes show a success somewhere in 8, dead ones none: same labels as K = 8."""
    num_alive = num_steps if is_correct else data.draw(st.integers(0, num_steps))
    if is_correct is False:
        num_alive = min(num_alive, num_steps - 1)
    hits = data.draw(st.lists(st.integers(0, 7), min_size=num_steps, max_size=num_steps))
    outcomes = [[W] * 8] + [
        [R if alive and i == hit else W for i in range(8)]
        for alive, hit in ((i < num_alive, h) for i, h in enumerate(hits))
    ]
    fixed = run(FixedK(num_rollouts=8), outcomes, is_correct)
    early = run(BisectHard(max_rollouts=8, batch=batch), outcomes, is_correct)
    assert labels(MonotoneHard(), early) == labels(HardEstimation(), fixed)
    num_probed = sum(counts.num_issued > 0 for counts in early.steps)
    assert num_probed <= (num_steps + 1).bit_length()


@given(OUTCOMES, KNOWN, st.integers(1, 10))
def test_early_stopping_changes_no_bisection(
    outcomes: list[list[Verdict]], is_correct: bool | None, batch: int
) -> None:
    whole = run(BisectHard(max_rollouts=10, batch=10), outcomes, is_correct)
    early = run(BisectHard(max_rollouts=10, batch=batch), outcomes, is_correct)
    assert labels(MonotoneHard(), early) == labels(MonotoneHard(), whole)
    assert spent(early) <= spent(whole)


def test_bisection_probes_the_middle_and_then_the_half_that_is_left() -> None:
    planner = BisectHard(max_rollouts=8, batch=8)
    good = Counts(num_rollouts=8, num_correct=1, num_issued=8)
    dead = Counts(num_rollouts=8, num_issued=8)
    none = Counts()
    root = Counts()

    def next_probe(*steps: Counts) -> dict[int, int]:
        return planner.plan(Chain(root=root, steps=steps, is_correct=False))

    assert next_probe(*[none] * 8) == {4: 8}
    assert next_probe(*[none] * 3, good, *[none] * 4) == {6: 8}
    assert next_probe(*[none] * 3, dead, *[none] * 4) == {2: 8}
    assert next_probe(*[none] * 3, good, none, dead, none, none) == {5: 8}
    assert next_probe(*[none] * 3, good, dead, dead, none, none) == {}


def test_a_success_behind_a_dead_prefix_wins() -> None:
    assert labels(MonotoneHard(), chain(None, [0.0, 0.5, None, 0.0, None])) == [
        True, True, None, False, False,
    ]  # fmt: skip


def test_steps_without_any_evidence_have_no_monotone_label() -> None:
    assert labels(MonotoneHard(), chain(None, [None, None])) == [None, None]
    assert labels(MonotoneHard(), chain(None, [None, None], True)) == [True, True]
    assert labels(MonotoneHard(), chain(None, [None], False)) == [False]


def test_unprobed_steps_have_no_score() -> None:
    steps = MonotoneHard()(chain(0.5, [None, 0.5, None, None], False))
    assert [step.mc_score for step in steps] == [None, 0.5, None, 0.0]
    assert [step.label for step in steps] == [True, True, None, False]


@pytest.mark.parametrize(
    ("planner", "full"), [(CurtailedFixedK(num_rollouts=8), 8), (BisectHard(), 8)]
)
def test_stop_reasons_tell_a_full_count_from_one_that_would_gain_nothing(
    planner: Planner, full: int
) -> None:
    wrong = Counts(num_rollouts=full, num_issued=full)
    assert planner.stop_reason(wrong) is StopReason.FIXED
    assert planner.stop_reason(Counts()) is StopReason.DECIDED


@pytest.mark.parametrize("planner", [CurtailedFixedK(num_rollouts=8), BisectHard()])
@pytest.mark.parametrize("is_correct", [True, False])
def test_a_single_step_with_a_known_ending_needs_nothing(
    planner: Planner, is_correct: bool
) -> None:
    assert planner.plan(chain(0.5, [None], is_correct)) == {}


@pytest.mark.parametrize("make", [CurtailedFixedK, BisectHard])
def test_an_impossible_early_stopper_is_refused(make: type) -> None:
    name = "num_rollouts" if make is CurtailedFixedK else "max_rollouts"
    with pytest.raises(ValueError, match=f"{name} and batch must be at least 1, not 0 and 4"):
        make(**{name: 0})


def test_first_success_stopping_is_curtailment_of_hard_labels() -> None:
    now = chain(None, [0.0, 0.5, None])
    curtailed = CurtailedFixedK(num_rollouts=30, batch=4, labeler=HardEstimation())
    assert curtailed.plan(now) == UntilFirstSuccess(max_rollouts=30, batch=4).plan(now)


def test_omegaprm_probes_with_eight_and_filters_with_thirty_two() -> None:
    recipe = load_recipe("omegaprm")
    assert recipe.planner == BisectHard(max_rollouts=8, batch=8)
    assert recipe.num_solutions == 32
    assert (recipe.selection.min_correct, recipe.selection.min_wrong) == (1, 1)
