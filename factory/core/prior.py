"""What is believed of MC scores along a solution before anything is counted.

A prefix's value p is the probability that the completer solves the problem from it. Along a
solution p mostly stays, sometimes falls, and once exactly 0 stays 0. If completer and generator
are one model, p is a martingale in truth; here it is one in its mean wherever nothing goes wrong.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta as beta_distribution

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ChainPrior:
    """A Markov chain on p. From a prefix of value p the next one is

    - dead, p' = 0, with probability `dead` (1 - p),
    - fallen, p' uniform on (0, p), with probability `fall` (1 - p),
    - anything, p' uniform on (0, 1), with probability `jump`,
    - else about the same: Beta with mean p and concentration `concentration`.

    The bare problem's own value is Beta(`root_a`, `root_b`).
    """

    concentration: float = 20.0
    dead: float = 0.12
    fall: float = 0.4
    jump: float = 0.03
    root_a: float = 1.0
    root_b: float = 1.0
    num_cells: int = 48

    def __post_init__(self) -> None:
        if min(self.concentration, self.root_a, self.root_b) <= 0 or self.num_cells < 2:
            raise ValueError("concentration, root_a and root_b must be above 0, num_cells above 1")
        if min(self.dead, self.fall, self.jump) < 0 or self.dead + self.fall + self.jump > 1:
            raise ValueError(
                "dead, fall and jump must be at least 0 and add up to at most 1, "
                f"not {self.dead} + {self.fall} + {self.jump}"
            )

    @property
    def grid(self) -> "Grid":
        """The prior on a grid; built once per prior and process."""
        return _grid(self)


@dataclass(frozen=True)
class Grid:
    """A prior on G = num_cells + 1 values: an exact 0, then cell centres, arcsine-spaced.

    Arcsine spacing gives every cell about the same number of standard errors of a share.
    """

    values_G: Array
    root_G: Array
    """Probability of each value at the bare problem."""
    step_GG: Array
    """Row u, column v: probability of going from value u to value v in one step."""

    @cached_property
    def logs_2G(self) -> Array:
        """Log probabilities of a right and of a wrong answer; the exact 0 is treated apart."""
        return np.stack((np.log(np.maximum(self.values_G, 1e-300)), np.log1p(-self.values_G)))


@lru_cache(maxsize=64)
def _grid(prior: ChainPrior) -> Grid:
    edges = np.sin(np.linspace(0, np.pi / 2, prior.num_cells + 1)) ** 2
    centres = np.sin(np.pi / 2 * (np.arange(prior.num_cells) + 0.5) / prior.num_cells) ** 2
    values = np.concatenate(([0.0], centres))
    widths = np.diff(edges)
    root = np.diff(beta_distribution.cdf(edges, prior.root_a, prior.root_b))
    step = np.zeros((len(values), len(values)))
    step[0, 0] = 1.0
    for row, p in enumerate(centres, start=1):
        dead, fall = prior.dead * (1 - p), prior.fall * (1 - p)
        below = np.clip((p - edges[:-1]) / widths, 0, 1) * widths
        k = prior.concentration
        same = np.diff(beta_distribution.cdf(edges, k * p, k * (1 - p)))
        step[row, 0] = dead
        step[row, 1:] = (
            fall * below / below.sum()
            + prior.jump * widths
            + (1 - dead - fall - prior.jump) * same / same.sum()
        )
    return Grid(values, np.concatenate(([0.0], root / root.sum())), step)
