"""What the counts along a solution say together: forward and backward over its prefixes.

Shape letters: N prefixes with a value of their own (0 .. N-1, the bare problem first), G grid
values, I steps asked about (1 .. N-1). Messages are scaled so that each forward one sums to 1.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from factory.core.chain import Chain
from factory.core.prior import Array, ChainPrior, Grid

Mask = NDArray[np.bool_]


class Question(Protocol):
    """What makes a step good, in terms of the values around it."""

    @property
    def is_closed(self) -> bool:
        """Whether a good step needs all steps before it to be good."""
        ...

    def good_moves(self, grid: Grid, root_mean: float) -> Mask:
        """G x G: may a good step go from the value of the row to that of the column?"""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StillSolvable:
    """Good while every prefix so far is worth at least `share` of the bare problem.

    The bare problem's value is taken at its posterior mean. With `share` 0 the question is
    whether the prefix is alive.
    """

    share: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must lie in [0, 1], not {self.share}")

    @property
    def is_closed(self) -> bool:
        return True

    def good_moves(self, grid: Grid, root_mean: float) -> Mask:
        good = (grid.values_G >= self.share * root_mean) & (grid.values_G > 0)
        moves: Mask = good & np.ones((len(good), 1), dtype=bool)
        return moves


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepsProgress:
    """Good when the value after the step is at least `threshold` of the one before it, and not 0.

    GenPRM's question (arXiv 2504.00891, eq. 10 and 11) asked of the values, not of the counts.
    """

    threshold: float = 0.8

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise ValueError(f"threshold must be above 0, not {self.threshold}")

    @property
    def is_closed(self) -> bool:
        return False

    def good_moves(self, grid: Grid, root_mean: float) -> Mask:
        values = grid.values_G
        return (values[None, :] >= self.threshold * values[:, None]) & (values[None, :] > 0)


@dataclass(frozen=True)
class ChainPosterior:
    """The posterior of one chain.

    `marginals_NG[i]` is the distribution of the value of prefix i. `good_I[i - 1]` is the
    probability that step i is good, for the steps 1 .. N-1 whose prefix has a value of its own.
    `joint_NIG[j, i - 1, v]` is the probability that step i is good and prefix j has value v: by it
    a planner sees what any rollout at j would say of every step.
    """

    grid: Grid
    marginals_NG: Array
    good_I: Array
    joint_NIG: Array

    @property
    def means_N(self) -> Array:
        """Posterior mean of each prefix's value."""
        return self.marginals_NG @ self.grid.values_G

    @property
    def deaths_N(self) -> Array:
        """Probability that the prefix is worth exactly 0; never falls along the chain."""
        return self.marginals_NG[:, 0]

    def interval(self, prefix: int, coverage: float = 0.9) -> tuple[float, float]:
        """Equal-tailed credible interval of a prefix's value, at the grid's resolution."""
        cumulated = np.cumsum(self.marginals_NG[prefix])
        tail = (1 - coverage) / 2
        low, high = np.searchsorted(cumulated, (tail, 1 - tail))
        values = self.grid.values_G
        return float(values[min(low, len(values) - 1)]), float(values[min(high, len(values) - 1)])


def infer(chain: Chain, prior: ChainPrior, question: Question) -> ChainPosterior:
    """The posterior given everything counted along the chain.

    If the completer also wrote the solution, its ending is one more rollout from the last prefix.
    A right ending makes every prefix alive in any case.
    """
    grid = prior.grid
    lik_NG = likelihoods(chain, grid)
    forward_NG = _forward(lik_NG, grid)
    backward_NG = _backward(lik_NG, grid)
    marginals = forward_NG * backward_NG
    marginals /= marginals.sum(axis=1, keepdims=True)
    moves = question.good_moves(grid, float(marginals[0] @ grid.values_G))
    joint = _joint(lik_NG, forward_NG, backward_NG, grid, moves, question.is_closed)
    return ChainPosterior(grid, marginals, joint[0].sum(axis=1), joint)


def likelihoods(chain: Chain, grid: Grid) -> Array:
    """N x G: probability of what was counted at each prefix given its value, up to a factor."""
    log_lik = _log_likelihoods(chain, grid)
    lik: Array = np.exp(log_lik - log_lik.max(axis=1, keepdims=True))
    if chain.is_correct:
        lik[-1] *= grid.values_G if chain.is_on_policy else grid.values_G > 0
    elif chain.is_correct is False and chain.is_on_policy:
        lik[-1] *= 1 - grid.values_G
    return lik


def log_evidence(chain: Chain, prior: ChainPrior) -> float:
    """Log probability of the rollouts' verdicts, in the order they came, under the prior.

    It does not depend on the rule that stopped the sampling, so priors are compared by it on any
    counts.
    """
    grid = prior.grid
    lik = likelihoods(chain, grid)
    message, total = grid.root_G * lik[0], float(_log_likelihoods(chain, grid).max(axis=1).sum())
    for row in lik[1:]:
        scale = message.sum()
        total += float(np.log(scale))
        message = (message / scale) @ grid.step_GG * row
    return total + float(np.log(message.sum()))


def _log_likelihoods(chain: Chain, grid: Grid) -> Array:
    num = len(chain.steps) if chain.is_correct is not None else len(chain.steps) + 1
    counted = map(chain.counts_at, range(num))
    counts = np.array([(c.num_correct, c.num_rollouts - c.num_correct) for c in counted], float)
    log_lik: Array = counts @ grid.logs_2G
    log_lik[counts[:, 0] > 0, 0] = -np.inf
    return log_lik


def _forward(lik_NG: Array, grid: Grid) -> Array:
    """Forward messages, and the likelihoods scaled in place so that every message sums to 1."""
    messages = np.empty_like(lik_NG)
    message = grid.root_G
    for i, lik in enumerate(lik_NG):
        if i:
            message = messages[i - 1] @ grid.step_GG
        lik /= message @ lik
        messages[i] = message * lik
    return messages


def _backward(lik_NG: Array, grid: Grid) -> Array:
    """Backward messages; with scaled likelihoods forward times backward sums to 1 everywhere."""
    messages = np.ones_like(lik_NG)
    for i in range(len(lik_NG) - 2, -1, -1):
        messages[i] = grid.step_GG @ (lik_NG[i + 1] * messages[i + 1])
    return messages


def _joint(
    lik_NG: Array, forward_NG: Array, backward_NG: Array, grid: Grid, moves: Mask, is_closed: bool
) -> Array:
    """N x I x G: probability that step i is good and prefix j has value v; lik_NG is scaled."""
    num, size = lik_NG.shape
    step_GG = grid.step_GG
    good_step_GG = step_GG * moves
    joint = np.zeros((num, num - 1, size))
    # Forward: row i of prefix t is the event of step i + 1 carried on to it, for the steps behind.
    # A closed question starts each from the event before, an open one from anything.
    start_NG = forward_NG.copy()
    for t in range(1, num):
        rows_IG = joint[t, :t]
        rows_IG[:-1] = joint[t - 1, : t - 1] @ step_GG
        rows_IG[-1] = start_NG[t - 1] @ good_step_GG
        rows_IG *= lik_NG[t]
        if is_closed:
            start_NG[t] = rows_IG[-1]
    joint *= backward_NG[:, None, :]
    # Backward: the events of the steps ahead. A closed question allows good moves alone on the way.
    ahead_IG = np.zeros((num, size))
    step_back_GG = (good_step_GG if is_closed else step_GG).T
    for t in range(num - 2, -1, -1):
        ahead_IG[t + 1] = backward_NG[t + 1]
        weighted_IG = ahead_IG[t + 1 :] * lik_NG[t + 1]
        ahead_IG[t + 1 :] = weighted_IG @ step_back_GG
        if not is_closed:
            ahead_IG[t + 1] = good_step_GG @ weighted_IG[0]
        np.multiply(ahead_IG[t + 1 :], start_NG[t], out=joint[t, t:])
    return joint
