"""Buys rollouts where they are worth their tokens, judged by the posterior of the whole chain.

Shape letters as in `posterior`; J open prefixes, K outcomes of a further batch.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.stats import binom

from factory.core.chain import Chain, Counts
from factory.core.planners import Plan, up_to
from factory.core.posterior import ChainPosterior, Question, StillSolvable, infer
from factory.core.prior import Array, ChainPrior
from schemas.records import StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCosts:
    """What a wrong label costs, in label errors."""

    good_called_bad: float = 1.0
    bad_called_good: float = 2.0

    def __post_init__(self) -> None:
        if min(self.good_called_bad, self.bad_called_good) <= 0:
            raise ValueError("both costs must be above 0")

    def risk(self, probability: Array, good: Array) -> Array:
        """Expected cost of the better label: of an event's probability, `good` is its good part."""
        risk: Array = np.minimum(
            self.good_called_bad * good, self.bad_called_good * (probability - good)
        )
        return risk

    def is_good(self, good: float) -> bool:
        """The label with the smaller expected cost; good when both are equal."""
        return self.bad_called_good * (1 - good) <= self.good_called_bad * good


@dataclass(frozen=True, slots=True, kw_only=True)
class ByValue:
    """Rounds of rollouts whose expected gain in label cost exceeds their price.

    Before each round every open prefix is asked what a batch of m more rollouts there would save,
    over all steps of the chain and all outcomes of the batch, exactly under the prior. Every
    prefix whose saving per full-length rollout is at least `price`, and at least `share_of_best`
    of the best one's, gets its best batch. An empty round ends the solution. Batches of one or two
    never look worth it one step ahead, so they are not offered.

    `price` 0 buys `max_rollouts` everywhere at once: fixed K. A rollout's cost is the share of the
    solution's text that lies ahead of its prefix.
    """

    prior: ChainPrior = ChainPrior()
    question: Question = field(default_factory=StillSolvable)
    costs: LabelCosts = LabelCosts()
    price: float = 0.003
    """Label cost per rollout of a whole solution's length."""
    first: int = 2
    """Rollouts at every open prefix in the first round."""
    num_root: int = 16
    """Rollouts at the bare problem, where nothing is known of it yet."""
    batches: tuple[int, ...] = (4, 16)
    max_rollouts: int = 128
    share_of_best: float = 0.02

    def __post_init__(self) -> None:
        if self.price < 0:
            raise ValueError(f"price must be at least 0, not {self.price}")
        if not self.batches:
            raise ValueError("batches must name at least one size")
        if min(self.first, self.num_root, *self.batches, self.max_rollouts) < 1:
            raise ValueError("first, num_root, batches and max_rollouts must be at least 1")
        if not 0 <= self.share_of_best <= 1:
            raise ValueError(f"share_of_best must lie in [0, 1], not {self.share_of_best}")

    def plan(self, chain: Chain) -> Plan:
        if self.price == 0:
            return up_to(self.max_rollouts, chain)
        if not chain.open_prefixes:
            return {}
        if not any(chain.counts_at(prefix).num_issued for prefix in chain.open_prefixes):
            first = min(self.first, self.max_rollouts)
            root = {} if chain.root.num_issued else {0: min(self.num_root, self.max_rollouts)}
            return root | dict.fromkeys(chain.open_prefixes, first)
        posterior = infer(chain, self.prior, self.question)
        return self._worth_buying(chain, posterior)

    def stop_reason(self, counts: Counts) -> StopReason:
        return (
            StopReason.CAP
            if counts.num_issued + min(self.batches) > self.max_rollouts
            else StopReason.PRICE
        )

    def _worth_buying(self, chain: Chain, posterior: ChainPosterior) -> Plan:
        prefixes = [*chain.open_prefixes]
        values_JB = self.values(chain, posterior)
        best_J = values_JB.max(axis=1)
        threshold = max(self.price, self.share_of_best * float(best_J.max()))
        return {
            prefix: self.batches[int(values_JB[j].argmax())]
            for j, prefix in enumerate(prefixes)
            if best_J[j] >= threshold
        }

    def values(self, chain: Chain, posterior: ChainPosterior) -> Array:
        """J x B: saving per full-length rollout of each batch at each open prefix.

        Minus infinity where a batch would pass `max_rollouts`.
        """
        open_ = slice(chain.open_prefixes.start, chain.open_prefixes.stop)
        outcomes_GK, starts = _outcomes(posterior.grid.values_G.tobytes(), self.batches)
        good_JIK = posterior.joint_NIG[open_] @ outcomes_GK
        probability_JK = posterior.marginals_NG[open_] @ outcomes_GK
        risk_JK = self.costs.risk(probability_JK[:, None, :], good_JIK).sum(axis=1)
        now = float(self.costs.risk(np.ones_like(posterior.good_I), posterior.good_I).sum())
        saved_JB = now - np.add.reduceat(risk_JK, starts, axis=1)
        cost_J = np.array([chain.share_ahead(prefix) for prefix in chain.open_prefixes])
        issued_J = np.array([chain.counts_at(p).num_issued for p in chain.open_prefixes])
        batches_B = np.array(self.batches)
        values_JB: Array = saved_JB / (batches_B * np.maximum(cost_J, 1e-3)[:, None])
        values_JB[issued_J[:, None] + batches_B > self.max_rollouts] = -np.inf
        return values_JB


@lru_cache(maxsize=64)
def _outcomes(values: bytes, batches: tuple[int, ...]) -> tuple[Array, list[int]]:
    """G x K: probability of every number of successes of every batch, batches side by side."""
    values_G = np.frombuffer(values)
    columns = [binom.pmf(np.arange(m + 1), m, values_G[:, None]) for m in batches]
    starts = np.cumsum([0, *(m + 1 for m in batches[:-1])])
    return np.concatenate(columns, axis=1), starts.tolist()
