"""OmegaPRM's binary search for the first error (Luo et al., arXiv 2406.06592).

Section 3.2: the prefix in the middle of a wrong solution is completed k = 8 times; any right
answer moves the search to the second half, none to the first, until one step is left. Questions
with no right or no wrong answer among 32 samples are dropped.

Departures: there is no tree. The paper searches rollouts picked by MCTS (Q + U), keeps every
rollout of a probe for later searches, and cuts solutions into 16 pieces by token length; here each
sampled solution is searched once, by its own steps. The paper trains best on soft labels, the MC
scores of probed prefixes; here labels are hard, by the monotone reading, and `mc_score` is known
at probed prefixes only.
"""

from factory.core.bisection import BisectHard, MonotoneHard
from factory.core.recipe import Recipe
from factory.core.selection import Selection

RECIPE = Recipe(
    name="omegaprm",
    summary="first error by binary search, 8 rollouts a probe (arXiv 2406.06592)",
    num_solutions=32,
    selection=Selection(min_correct=1, min_wrong=1),
    planner=BisectHard(max_rollouts=8, batch=8),
    labeler=MonotoneHard(),
)
