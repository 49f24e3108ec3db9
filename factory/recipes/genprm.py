"""GenPRM's labels: relative progress of at least 0.8 (Zhao et al., arXiv 2504.00891).

Eq. 9 sets the number of rollouts by the problem's pass rate (128, 64 or 32), eq. 10 divides each
MC score by the one before it, eq. 11 calls a step good from 0.8 on. Problems need both a right and
a wrong solution (section 3.2).

Departures: the paper samples up to 2,048 solutions of a problem until both kinds are found, here
it is `num_solutions`; no step format is forced upon the generator. Where generator and completer
differ, the paper's MC score of the bare problem is the generator's pass rate, and the first step's
progress then compares two models; here the completer's own 32 rollouts from the bare problem stand
in eq. 9 and eq. 10 (where both are one model, its samples do, as in the paper). What the paper
leaves open is decided in `RelativeProgress`.
"""

from factory.core.labelers import RelativeProgress
from factory.core.planners import KByDifficulty
from factory.core.recipe import Recipe
from factory.core.selection import Selection

RECIPE = Recipe(
    name="genprm",
    summary="relative progress >= 0.8, 32 to 128 rollouts by difficulty (arXiv 2504.00891)",
    num_solutions=32,
    selection=Selection(min_correct=1, min_wrong=1, max_solutions=16),
    needs_completer_root=True,
    planner=KByDifficulty(),
    labeler=RelativeProgress(threshold=0.8),
)
