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

from typing import Any

from factory.core.chain_labeler import PosteriorLabels
from factory.core.chain_planner import ByValue, LabelCosts
from factory.core.posterior import Question, StillSolvable
from factory.core.prior import ChainPrior
from factory.core.recipe import Recipe
from factory.core.selection import Selection


def adaptive(
    *,
    price: float = 0.01,
    question: Question = StillSolvable(share=0.25),
    costs: LabelCosts = LabelCosts(good_called_bad=1.0, bad_called_good=1.0),
    prior: ChainPrior = ChainPrior(),
    **others: Any,
) -> Recipe:
    """The recipe with these values: the planner and the labeler have to ask the same question.

    `others` are fields of `Recipe`; a variant needs a `name` of its own.
    """
    fields: dict[str, Any] = {
        "name": "adaptive",
        "summary": "rollouts by value, labels with a stated error",
        "selection": Selection(min_correct=1, max_solutions=8),
        "needs_completer_root": True,
        "planner": ByValue(prior=prior, question=question, costs=costs, price=price),
        "labeler": PosteriorLabels(prior=prior, question=question, costs=costs),
    }
    return Recipe(**fields | others)


RECIPE = adaptive()
