"""Fitting the chain prior to collected counts by marginal likelihood.

The likelihood of counts does not depend on the rule that stopped the sampling, so counts of any
planner will do. A fitted prior moves a policy's operating point: choose the label costs anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from factory.core.chain import Chain
from factory.core.posterior import log_evidence
from factory.core.prior import ChainPrior


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A fitted prior and what it gains, in nats per chain."""

    prior: ChainPrior
    gain_per_chain: float
    num_chains: int


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
