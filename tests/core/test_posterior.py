"""The posterior of a chain equals the sum over all its paths, and keeps the order of the world."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.core.chain import Chain, Counts
from factory.core.posterior import (
    ChainPosterior,
    KeepsProgress,
    Question,
    StillSolvable,
    infer,
    log_evidence,
)
from factory.core.prior import ChainPrior

TINY = ChainPrior(num_cells=4)
QUESTIONS: list[Question] = [StillSolvable(), StillSolvable(share=0), KeepsProgress()]


@st.composite
def some_counts(draw: st.DrawFn, most: int = 40) -> Counts:
    num_rollouts = draw(st.integers(0, most))
    share = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    spread = draw(st.integers(-2, 2))
    num_correct = min(max(0, round(share * num_rollouts) + spread), num_rollouts)
    return Counts(num_rollouts=num_rollouts, num_correct=num_correct, num_issued=num_rollouts + 1)


def chains(max_steps: int, most: int = 40) -> st.SearchStrategy[Chain]:
    return st.builds(
        Chain,
        root=some_counts(most),
        steps=st.lists(some_counts(most), min_size=1, max_size=max_steps).map(tuple),
        is_correct=st.sampled_from([True, False, None]),
        is_on_policy=st.booleans(),
    )


def likelihood(chain: Chain, path: tuple[float, ...]) -> float:
    """Probability of the verdicts and of the ending, given the values of the prefixes."""
    found = 1.0
    for prefix, value in enumerate(path):
        counts = chain.counts_at(prefix)
        wrong = counts.num_rollouts - counts.num_correct
        found *= value**counts.num_correct * (1 - value) ** wrong
    if chain.is_correct:
        found *= path[-1] if chain.is_on_policy else path[-1] > 0
    elif chain.is_correct is False and chain.is_on_policy:
        found *= 1 - path[-1]
    return found


def by_enumeration(
    chain: Chain, prior: ChainPrior, question: Question
) -> tuple[np.ndarray, np.ndarray, float]:
    """Marginals N x G, joint N x I x G, and the evidence, over all G^N paths."""
    grid = prior.grid
    num = len(chain.steps) + (chain.is_correct is None)
    size = len(grid.values_G)
    paths = []
    for path in product(range(size), repeat=num):
        weight = grid.root_G[path[0]] * likelihood(chain, tuple(grid.values_G[v] for v in path))
        for u, v in pairwise(path):
            weight *= grid.step_GG[u, v]
        if weight > 0:
            paths.append((path, weight))
    total = sum(weight for _, weight in paths)
    marginals = np.zeros((num, size))
    for path, weight in paths:
        for prefix, v in enumerate(path):
            marginals[prefix, v] += weight / total
    moves = question.good_moves(grid, float(marginals[0] @ grid.values_G))
    joint = np.zeros((num, num - 1, size))
    for path, weight in paths:
        good = [bool(moves[u, v]) for u, v in pairwise(path)]
        if question.is_closed:
            good = [all(good[: i + 1]) for i in range(len(good))]
        for prefix, v in enumerate(path):
            joint[prefix, np.flatnonzero(good), v] += weight / total
    return marginals, joint, total


@settings(max_examples=60, deadline=None)
@given(chains(max_steps=4, most=12), st.sampled_from(QUESTIONS))
def test_the_posterior_is_the_sum_over_all_paths(chain: Chain, question: Question) -> None:
    posterior = infer(chain, TINY, question)
    marginals, joint, total = by_enumeration(chain, TINY, question)
    np.testing.assert_allclose(posterior.marginals_NG, marginals, atol=1e-10)
    np.testing.assert_allclose(posterior.joint_NIG, joint, atol=1e-10)
    np.testing.assert_allclose(posterior.good_I, joint[0].sum(axis=1), atol=1e-10)
    assert log_evidence(chain, TINY) == pytest.approx(np.log(total), abs=1e-9)


@settings(deadline=None)
@given(chains(max_steps=12), st.sampled_from(QUESTIONS))
def test_a_posterior_keeps_the_order_of_the_world(chain: Chain, question: Question) -> None:
    posterior = infer(chain, ChainPrior(), question)
    deaths, good = posterior.deaths_N, posterior.good_I
    num = len(posterior.marginals_NG)
    np.testing.assert_allclose(posterior.marginals_NG.sum(axis=1), 1, atol=1e-9)
    assert np.all(np.diff(deaths) >= -1e-9)
    assert np.all(good <= 1 - deaths[1:] + 1e-9)
    for prefix in range(num):
        np.testing.assert_allclose(posterior.joint_NIG[prefix].sum(axis=1), good, atol=1e-9)
        assert np.all(posterior.joint_NIG[prefix] <= posterior.marginals_NG[prefix] + 1e-9)
        if chain.counts_at(prefix).num_correct:
            assert np.all(deaths[: prefix + 1] == 0)
    if chain.is_correct:
        assert np.all(deaths == 0)
    if question.is_closed:
        assert np.all(np.diff(good) <= 1e-9)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("is_correct", [True, False, None])
@pytest.mark.parametrize("pattern", ["all wrong", "all right", "zigzag", "revived"])
def test_long_chains_of_many_rollouts_stay_finite(
    question: Question, is_correct: bool | None, pattern: str
) -> None:
    num_correct = {
        "all wrong": [0] * 30,
        "all right": [128] * 30,
        "zigzag": [0, 128] * 15,
        "revived": [0] * 29 + [128],
    }[pattern]
    steps = tuple(Counts(num_rollouts=128, num_correct=n, num_issued=128) for n in num_correct)
    root = Counts(num_rollouts=128, num_correct=64, num_issued=128)
    chain = Chain(root=root, steps=steps, is_correct=is_correct, is_on_policy=True)
    posterior = infer(chain, ChainPrior(), question)
    assert np.all(np.isfinite(posterior.joint_NIG))
    assert np.all((posterior.good_I >= -1e-9) & (posterior.good_I <= 1 + 1e-9))
    assert np.isfinite(log_evidence(chain, ChainPrior()))


@pytest.mark.parametrize("question", QUESTIONS)
def test_impossible_surprises_stay_finite_without_a_jump(question: Question) -> None:
    """Nothing in this prior rises from near 0 to near 1 but the far tail of a Beta."""
    prior = ChainPrior(jump=0.0, concentration=200.0)
    low = Counts(num_rollouts=128, num_correct=1, num_issued=128)
    high = Counts(num_rollouts=128, num_correct=128, num_issued=128)
    chain = Chain(root=low, steps=(high, low, high), is_correct=None)
    posterior = infer(chain, prior, question)
    assert np.all(np.isfinite(posterior.joint_NIG))
    np.testing.assert_allclose(posterior.marginals_NG.sum(axis=1), 1, atol=1e-9)
    assert np.isfinite(log_evidence(chain, prior))


def test_a_single_step_with_a_known_ending_asks_nothing() -> None:
    chain = Chain(root=Counts(), steps=(Counts(),), is_correct=False)
    posterior = infer(chain, ChainPrior(), StillSolvable())
    assert posterior.good_I.shape == (0,)
    assert posterior.joint_NIG.shape[:2] == (1, 0)
    np.testing.assert_allclose(posterior.means_N, [0.5], atol=1e-3)


def test_without_counts_the_posterior_is_the_prior() -> None:
    chain = Chain(root=Counts(), steps=(Counts(),) * 3, is_correct=None)
    grid = ChainPrior().grid
    posterior = infer(chain, ChainPrior(), KeepsProgress())
    expected = grid.root_G
    for marginal in posterior.marginals_NG:
        np.testing.assert_allclose(marginal, expected, atol=1e-12)
        expected = expected @ grid.step_GG
    assert log_evidence(chain, ChainPrior()) == pytest.approx(0, abs=1e-12)


def test_evidence_of_one_prefix_is_the_beta_integral_for_any_number_of_cells() -> None:
    """3 of 4 under a uniform root: B(4, 2) = 1/20. A scale by the grid's own best cell was off."""
    root = Counts(num_rollouts=4, num_correct=3, num_issued=4)
    chain = Chain(root=root, steps=(Counts(),), is_correct=False)
    for num_cells in (24, 48, 96):
        found = log_evidence(chain, ChainPrior(num_cells=num_cells))
        assert found == pytest.approx(np.log(1 / 20), abs=0.01)


def test_an_interval_holds_its_share() -> None:
    chain = Chain(
        root=Counts(num_rollouts=16, num_correct=8, num_issued=16),
        steps=(Counts(num_rollouts=16, num_correct=4, num_issued=16),),
        is_correct=None,
    )
    posterior: ChainPosterior = infer(chain, ChainPrior(), KeepsProgress())
    for prefix, mean in enumerate(posterior.means_N):
        low, high = posterior.interval(prefix)
        values = posterior.grid.values_G
        inside = posterior.marginals_NG[prefix][(values >= low) & (values <= high)].sum()
        assert low < mean < high
        assert inside >= 0.9


@pytest.mark.parametrize(
    "make", [lambda: StillSolvable(share=1.1), lambda: KeepsProgress(threshold=0)]
)
def test_an_impossible_question_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match="must"):
        make()


def test_the_prior_is_a_martingale_in_its_mean_where_nothing_goes_wrong() -> None:
    grid = ChainPrior(dead=0, fall=0, jump=0).grid
    means = grid.step_GG @ grid.values_G
    np.testing.assert_allclose(means, grid.values_G, atol=0.002)
    np.testing.assert_allclose(ChainPrior().grid.step_GG.sum(axis=1), 1, atol=1e-12)
