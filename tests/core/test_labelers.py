"""Labels follow the papers' numbers, and the cases the papers leave open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.core.chain import Chain, Counts
from factory.core.labelers import HardEstimation, Labeler, RelativeProgress, first_error
from tests.core.chains import chain

RPE = RelativeProgress()
Scores = list[float | None]
G, B, N = True, False, None


def labels(labeler: Labeler, *args: object) -> list[bool | None]:
    return [step.label for step in labeler(chain(*args))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("root", "scores", "expected", "progress"),
    [
        # the worked numbers of eq. 10 and 11, threshold 0.8
        (0.5, [0.5, 0.25, 0.25, 0], [G, B, G, B], [1, 0.5, 1, 0]),
        (0.5, [0.4, 0.4, 0, 0.3], [G, G, B, B], [0.8, 1, 0, None]),
        (0.5, [1.0], [G], [2]),
        (0.5, [0], [B], [0]),
        # a step may be good again after a bad one whose score was above 0
        (1.0, [0.5, 0.5, 0.25, 0.5], [B, G, B, G], [0.5, 1, 0.5, 2]),
        # no rollouts at one prefix: no label on both sides of it
        (0.5, [0.5, None, 0.5, 0.5], [G, N, N, G], [1, None, None, 1]),
        (0.5, [None, 0.5], [N, N], [None, None]),
        # ... save what the zero rule makes bad
        (0.5, [None, 0], [N, B], [None, None]),
        (0.5, [0, None, 0.5], [B, B, B], [0, None, None]),
        # a root of 0, or no root
        (0, [0.5, 0.5], [N, G], [None, 1]),
        (None, [0.5, 0.25], [N, B], [None, 0.5]),
        (0, [0, 0, 0.5, 0.5, 0, 0.5], [N, N, N, G, B, B], [None, None, None, 1, 0, None]),
        (None, [0, 0], [N, N], [None, None]),
        (None, [None], [N], [None]),
    ],
)
def test_relative_progress(
    root: float | None, scores: Scores, expected: list[bool | None], progress: Scores
) -> None:
    steps = RPE(chain(root, scores))
    assert [step.label for step in steps] == expected
    assert [step.progress for step in steps] == progress


def test_every_score_counts_as_0_from_the_first_0_on() -> None:
    assert [s.mc_score for s in RPE(chain(0.5, [0.4, 0, 0.3, None]))] == [0.4, 0, 0, 0]


def test_scores_stay_what_they_are_while_nothing_was_above_0() -> None:
    assert [s.mc_score for s in RPE(chain(0, [0, None, 0.5]))] == [0, None, 0.5]


def test_a_known_wrong_outcome_makes_the_last_step_bad() -> None:
    assert labels(RPE, 0.5, [0.5, None], False) == [G, B]
    assert labels(RPE, 0.5, [0.5, None], True) == [G, G]


def test_progress_of_exactly_the_threshold_is_good() -> None:
    """28 of 39 over 35 of 39 is 0.8; as a ratio of two rounded shares it was a little less."""
    counted = Chain(
        root=Counts(num_rollouts=39, num_correct=35, num_issued=39),
        steps=(Counts(num_rollouts=39, num_correct=28, num_issued=39),),
        is_correct=None,
    )
    assert [step.label for step in RPE(counted)] == [G]


@pytest.mark.parametrize(
    ("above", "scores", "expected"),
    [
        (0.0, [0.05, 0, 1, None], [G, B, G, N]),
        (0.5, [0.5, 0.55, 0, None], [B, G, B, N]),
        (0.95, [0.95, 1, 0, None], [B, G, B, N]),
    ],
)
def test_hard_estimation(above: float, scores: Scores, expected: list[bool | None]) -> None:
    assert labels(HardEstimation(above=above), 0.5, scores) == expected


def test_hard_estimation_needs_no_root() -> None:
    assert labels(HardEstimation(), None, [0.5, 0]) == [G, B]


@pytest.mark.parametrize("above", [-0.1, 1.0, float("nan")])
def test_an_impossible_hard_threshold_is_refused(above: float) -> None:
    with pytest.raises(ValueError, match="above must lie"):
        HardEstimation(above=above)


@pytest.mark.parametrize("threshold", [0, -1, float("nan")])
def test_an_impossible_progress_threshold_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold must be above 0"):
        RelativeProgress(threshold=threshold)


def test_the_first_error_is_the_first_bad_step() -> None:
    assert first_error(RPE(chain(0.5, [0.5, 0.25, 0.25, 0]))) == 1
    assert first_error(RPE(chain(0.5, [0.5]))) is None
    assert first_error(RPE(chain(None, [None]))) is None


@st.composite
def some_counts(draw: st.DrawFn) -> Counts:
    num_rollouts = draw(st.integers(0, 40))
    return Counts(
        num_rollouts=num_rollouts,
        num_correct=draw(st.integers(0, num_rollouts)),
        num_issued=num_rollouts + draw(st.integers(0, 3)),
    )


CHAINS = st.builds(
    Chain,
    root=some_counts(),
    steps=st.lists(some_counts(), min_size=1, max_size=8).map(tuple),
    is_correct=st.sampled_from([True, False, None]),
)


@given(CHAINS)
def test_every_step_is_labelled_once_and_no_progress_means_no_good_step(chain: Chain) -> None:
    steps = RPE(chain)
    assert len(steps) == len(chain.steps)
    assert all(step.progress is not None for step in steps if step.label)


@given(CHAINS)
def test_labels_after_the_first_0_of_a_living_chain_are_bad(chain: Chain) -> None:
    scores = (chain.root.mc_score, *chain.mc_scores)
    alive = next((i for i, score in enumerate(scores) if score), len(scores))
    dead = next((i for i in range(alive, len(scores)) if scores[i] == 0), len(scores))
    assert all(step.label is False for step in RPE(chain)[max(dead - 1, 0) :])


def scaled(counts: Counts, factor: int) -> Counts:
    return Counts(
        num_rollouts=factor * counts.num_rollouts,
        num_correct=factor * counts.num_correct,
        num_issued=factor * counts.num_issued,
    )


@given(CHAINS, st.integers(2, 9))
def test_labels_depend_on_shares_and_not_on_how_many(chain: Chain, factor: int) -> None:
    more = Chain(
        root=scaled(chain.root, factor),
        steps=tuple(scaled(counts, factor) for counts in chain.steps),
        is_correct=chain.is_correct,
    )
    assert RPE(more) == RPE(chain)
    assert HardEstimation()(more) == HardEstimation()(chain)


@given(CHAINS, st.floats(0, 0.99))
def test_another_right_rollout_never_makes_a_hard_label_worse(chain: Chain, above: float) -> None:
    more = Chain(
        root=chain.root,
        steps=tuple(
            Counts(
                num_rollouts=c.num_rollouts,
                num_correct=min(c.num_correct + 1, c.num_rollouts),
                num_issued=c.num_issued,
            )
            for c in chain.steps
        ),
        is_correct=chain.is_correct,
    )
    labeler = HardEstimation(above=above)
    for before, after in zip(labeler(chain), labeler(more), strict=True):
        assert (before.label is None) == (after.label is None)
        assert bool(before.label) <= bool(after.label)
