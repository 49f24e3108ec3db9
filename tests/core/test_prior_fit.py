"""Fitting finds the prior the counts came from."""

import numpy as np
import pytest

from factory.core.chain import Chain, Counts
from factory.core.chain_planner import LabelCosts
from factory.core.posterior import StillSolvable, infer, log_evidence
from factory.core.prior import ChainPrior
from factory.core.prior_fit import fit_prior, retuned_costs


def drawn(prior: ChainPrior, num_chains: int, seed: int) -> list[Chain]:
    """Chains whose values and counts follow the prior on its own grid."""
    rng, grid = np.random.default_rng(seed), prior.grid

    def counts(value: float) -> Counts:
        return Counts(num_rollouts=16, num_correct=int(rng.binomial(16, value)), num_issued=16)

    chains = []
    for _ in range(num_chains):
        cell = rng.choice(len(grid.root_G), p=grid.root_G)
        cells = [cell]
        for _ in range(5):
            cell = rng.choice(len(grid.root_G), p=grid.step_GG[cell] / grid.step_GG[cell].sum())
            cells.append(cell)
        root, *steps = (counts(float(grid.values_G[c])) for c in cells)
        chains.append(Chain(root=root, steps=tuple(steps), is_correct=None))
    return chains


def test_a_fitted_prior_is_likelier_on_new_chains_than_the_one_it_started_from() -> None:
    """False alarm: the gain on 150 new chains is about 40 nats with a deviation of about 7."""
    truth = ChainPrior(dead=0.5, fall=0.1, jump=0.02, concentration=60.0, num_cells=16)
    start = ChainPrior(num_cells=16)
    fit = fit_prior(drawn(truth, 80, seed=1), start, max_evaluations=120)
    new = drawn(truth, 150, seed=2)
    assert fit.gain_per_chain > 0
    assert sum(log_evidence(c, fit.prior) - log_evidence(c, start) for c in new) > 0
    assert fit.prior.dead > 0.25


def test_no_chains_are_refused() -> None:
    with pytest.raises(ValueError, match="no chains"):
        fit_prior([])


def balance(chains: list[Chain], prior: ChainPrior, costs: LabelCosts, by: ChainPrior) -> float:
    """Expected false good over false bad labels of one belief, expected under another."""
    question = StillSolvable(share=0.25)
    said = [g for c in chains for g in infer(c, prior, question).good_I]
    true = [g for c in chains for g in infer(c, by, question).good_I]
    pairs = list(zip([costs.is_good(float(g)) for g in said], true, strict=True))
    return sum(1 - g for label, g in pairs if label) / sum(g for label, g in pairs if not label)


def test_retuned_costs_keep_the_balance_of_errors_that_a_new_prior_moves() -> None:
    """No chance: the chains are fixed."""
    truth = ChainPrior(dead=0.5, fall=0.1, jump=0.02, concentration=60.0, num_cells=16)
    old, costs = ChainPrior(num_cells=16), LabelCosts(good_called_bad=1, bad_called_good=2)
    chains = drawn(truth, 200, seed=3)
    question = StillSolvable(share=0.25)
    new = retuned_costs(chains, old_prior=old, new_prior=truth, question=question, costs=costs)
    wanted = balance(chains, old, costs, truth)
    moved = balance(chains, truth, costs, truth)
    kept = balance(chains, truth, new, truth)
    assert abs(moved / wanted - 1) > 0.2
    assert abs(kept / wanted - 1) < 0.1
    assert new.good_called_bad == costs.good_called_bad


def test_the_same_prior_needs_no_other_costs() -> None:
    prior, costs = ChainPrior(num_cells=16), LabelCosts(good_called_bad=1, bad_called_good=2)
    chains = drawn(prior, 60, seed=4)
    question = StillSolvable()
    new = retuned_costs(chains, old_prior=prior, new_prior=prior, question=question, costs=costs)
    assert abs(new.bad_called_good / costs.bad_called_good - 1) < 0.1


def test_costs_stay_where_there_is_nothing_to_balance() -> None:
    sure = Chain(
        root=Counts(num_rollouts=9, num_correct=9, num_issued=9),
        steps=(Counts(num_rollouts=9, num_correct=9, num_issued=9), Counts()),
        is_correct=True,
    )
    costs = LabelCosts()
    for chains in ([], [sure]):
        assert costs == retuned_costs(
            chains,
            old_prior=ChainPrior(),
            new_prior=ChainPrior(dead=0.3),
            question=StillSolvable(),
            costs=costs,
        )
