"""One solution and one rollout a prefix: next to no work per problem, so that the books show."""

from factory.core.planners import FixedK
from factory.core.recipe import Recipe
from factory.core.selection import Selection

RECIPE = Recipe(
    name="books",
    summary="one solution, one rollout a prefix",
    num_solutions=1,
    selection=Selection(min_correct=0, max_solutions=1),
    planner=FixedK(num_rollouts=1),
)
