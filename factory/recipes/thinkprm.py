"""ThinkPRM: verification chains whose verdicts match labels that are known (arXiv 2504.16828).

Labels come with the problems, PRM800K's in the paper: nothing is sampled and no rollout asked for.
`prm-factory import` turns a file of PRM800K into such problems. Kept is a chain that can be read,
agrees with the labels up to the first error, and has at most 4,096 tokens, as many that end well
as badly (section 3.1 and appendix A).

Differs from the paper: it draws until 1,000 chains are kept, here every solution gets four.
"""

from factory.core.consensus import Agreement, Consensus, Undecided
from factory.core.labelers import GivenLabels
from factory.core.planners import NoRollouts
from factory.core.recipe import Recipe
from factory.core.teachers.thinkprm import ThinkPrmForm
from factory.core.teaching import Curation, Teaching
from schemas.generation import Sampling

RECIPE = Recipe(
    name="thinkprm",
    summary="given labels, a teacher's chains that match them",
    planner=NoRollouts(),
    labeler=GivenLabels(),
    teaching=Teaching(
        form=ThinkPrmForm(),
        num_rationales=4,
        sampling=Sampling(temperature=0.1, max_tokens=4096),
        max_redraws=0,
    ),
    curation=Curation(
        consensus=Consensus(agreement=Agreement.STEPS, undecided=Undecided.DROP, max_tokens=4096),
        is_balanced=True,
    ),
)
