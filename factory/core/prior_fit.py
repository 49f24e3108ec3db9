"""Fitting the chain prior to collected counts by marginal likelihood.

The likelihood of counts does not depend on the rule that stopped the sampling, so counts of any
planner will do. A fitted prior moves a policy's operating point, and `retuned_costs` moves it back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from factory.core.chain import Chain
from factory.core.chain_planner import LabelCosts
from factory.core.posterior import Question, infer, log_evidence
from factory.core.prior import ChainPrior


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A fitted prior and what it gains, in nats per chain."""

    prior: ChainPrior
    gain_per_chain: float
    num_chains: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedRecipe:
    """What a variant of the adaptive recipe needs to be fitted to a job."""

    fit: Fit
    costs: LabelCosts
    """Under the new prior they keep the balance of false good and false bad labels."""
    old_costs: LabelCosts


def fit_prior(
    chains: Sequence[Chain], start: ChainPrior | None = None, *, max_evaluations: int = 400
) -> Fit:
    """The prior under which these counts are likeliest, searched from `start` (Nelder-Mead).

    Raises ValueError without chains.
    """
    start = start or ChainPrior()
    if not chains:
        raise ValueError("no chains to fit the prior to")

    def loss(point: np.ndarray) -> float:
        prior = _prior_at(point, start)
        return -sum(log_evidence(chain, prior) for chain in chains) / len(chains)

    first = _point_of(start)
    found = minimize(
        loss,
        first,
        method="Nelder-Mead",
        options={"maxfev": max_evaluations, "xatol": 0.02, "fatol": 1e-4},
    )
    return Fit(
        prior=_prior_at(found.x, start),
        gain_per_chain=float(loss(first) - found.fun),
        num_chains=len(chains),
    )


def _point_of(prior: ChainPrior) -> np.ndarray:
    """Unbounded coordinates: logarithms, and log-odds of the three shares against the rest."""
    rest = max(1e-3, 1 - prior.dead - prior.fall - prior.jump)
    shares = [np.log(max(p, 1e-4) / rest) for p in (prior.dead, prior.fall, prior.jump)]
    logs = [np.log(x) for x in (prior.concentration, prior.root_a, prior.root_b)]
    return np.array([*shares, *logs])


def _prior_at(point: np.ndarray, like: ChainPrior) -> ChainPrior:
    weights = np.exp(np.clip(point[:3], -12, 12))
    shares = weights / (1 + weights.sum())
    concentration, root_a, root_b = np.exp(np.clip(point[3:], -4, 7))
    return ChainPrior(
        dead=float(shares[0]),
        fall=float(shares[1]),
        jump=float(shares[2]),
        concentration=float(concentration),
        root_a=float(root_a),
        root_b=float(root_b),
        num_cells=like.num_cells,
    )


def retuned_costs(
    chains: Sequence[Chain],
    *,
    old_prior: ChainPrior,
    new_prior: ChainPrior,
    question: Question,
    costs: LabelCosts,
) -> LabelCosts:
    """Costs under which labels by `new_prior` err in the same proportion as those by `old_prior`.

    Bad steps called good over good ones called bad, both expected under `new_prior`, the better
    of the two beliefs. A prior alone moves that balance: a milder one calls less bad at the same
    costs. The cost of a good step called bad stays. Costs are kept where nothing can be balanced:
    the old labels make errors of one kind only, or there are no inner steps.
    """
    old = [good for chain in chains for good in infer(chain, old_prior, question).good_I]
    new = np.array([good for chain in chains for good in infer(chain, new_prior, question).good_I])
    called_good = np.array([costs.is_good(float(good)) for good in old], dtype=bool)
    false_good, false_bad = (1 - new)[called_good].sum(), new[~called_good].sum()
    if not (false_good > 0 and false_bad > 0):
        return costs
    by_good = np.sort(new)[::-1]
    called = np.arange(1, len(by_good))
    """How many of the likeliest are called good; at least one step is called either."""
    balances = np.cumsum(1 - by_good)[called - 1] / np.cumsum(by_good[::-1])[::-1][called]
    cut = int(np.abs(np.log(np.maximum(balances, 1e-12) * false_bad / false_good)).argmin()) + 1
    threshold = float(np.clip((by_good[cut - 1] + by_good[cut]) / 2, 0.02, 0.98))
    ratio = threshold / (1 - threshold)
    return replace(costs, bad_called_good=costs.good_called_bad * ratio)
