"""Rollouts where they are worth their tokens, labels with a stated error.

The posterior of the whole chain of prefixes (`factory.core.posterior`) says how likely each step
is to be good, and the planner (`factory.core.chain_planner`) buys a batch of rollouts wherever it
is expected to save more label cost than it costs in tokens. A step is good while the prefix is
still about as solvable as the bare problem (`StillSolvable`); steps that stay in doubt are
labelled and marked undecided.

The question, its share, the costs, the price and the prior were chosen on rollouts of the shipped
model, on problems not used for the figures that `make bench` prints (part "labels").
"""

from factory.core.chain_labeler import PosteriorLabels
from factory.core.chain_planner import ByValue
from factory.core.recipe import Recipe
from factory.core.selection import Selection

RECIPE = Recipe(
    name="adaptive",
    summary="rollouts by value, labels with a stated error",
    selection=Selection(min_correct=1, max_solutions=8),
    needs_completer_root=True,
    planner=ByValue(),
    labeler=PosteriorLabels(),
)
