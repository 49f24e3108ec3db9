"""Rollouts where they are worth their tokens, labels with a stated error.

The posterior of the whole chain of prefixes (`factory.core.posterior`) says how likely each step
is to be good, and the planner (`factory.core.chain_planner`) buys a batch of rollouts wherever it
is expected to save more label cost than it costs in tokens. A step is good while the prefix is
still about as solvable as the bare problem (`StillSolvable`); steps that stay in doubt are
labelled and marked undecided.

Share, costs and price were chosen on rollouts of the shipped model: of a grid, the values with
the highest sum of line accuracy and first-error F1 against the oracle at no more than a fifth of
the tokens of K = 32. `python -m factory.bench labels` scores them on other problems. The prior is
not fitted to any world; `prm-factory fit-prior` fits it to a job's own counts.
"""

from factory.core.chain_labeler import PosteriorLabels
from factory.core.chain_planner import ByValue, LabelCosts
from factory.core.posterior import StillSolvable
from factory.core.recipe import Recipe
from factory.core.selection import Selection

QUESTION = StillSolvable(share=0.3)
COSTS = LabelCosts(good_called_bad=1.0, bad_called_good=0.5)

RECIPE = Recipe(
    name="adaptive",
    summary="rollouts by value, labels with a stated error",
    selection=Selection(min_correct=1, max_solutions=8),
    needs_completer_root=True,
    planner=ByValue(question=QUESTION, costs=COSTS, price=0.01),
    labeler=PosteriorLabels(question=QUESTION, costs=COSTS),
)
