"""Labels of which a judge and the rollouts name the same first error (arXiv 2501.07301).

Eight rollouts a step, good if any is right (section 3.1.1); a solution is kept where the judge, a
larger model that reads it whole, finds the first error at the same step (section 3.1.3). What
follows the first error is left out of the dataset's part `consensus`.

Differs from the paper: the judge's wording is ours; it is asked once and may be asked to vote.
"""

from factory.core.consensus import Agreement, Consensus
from factory.core.recipe import Recipe
from factory.core.selection import Selection
from factory.core.teachers.judge import JUDGE
from factory.core.teaching import Curation, Teaching
from schemas.generation import Sampling

RECIPE = Recipe(
    name="qwen-consensus",
    summary="hard labels on whose first error a judge agrees",
    num_solutions=8,
    selection=Selection(min_correct=1),
    teaching=Teaching(
        form=JUDGE,
        num_rationales=1,
        sampling=Sampling(temperature=0.6, max_tokens=4096),
        max_redraws=1,
    ),
    curation=Curation(consensus=Consensus(agreement=Agreement.FIRST_ERROR), is_voted=True),
)
