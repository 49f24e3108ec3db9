"""GenPRM: relative progress of at least 0.8, and rationales that agree (arXiv 2504.00891).

Eq. 9 sets the number of rollouts by the problem's pass rate (128, 64 or 32), eq. 10 divides each
MC score by the one before it, eq. 11 calls a step good from 0.8 on. Problems need both a right and
a wrong solution (section 3.2). A teacher analyses every step and writes code that checks it, the
code is executed, and a rationale stays where its verdicts are those of the labels (section 3.3).
`genprm-labels` is the same without a teacher.

Departures: the paper samples up to 2,048 solutions of a problem until both kinds are found, here
it is `num_solutions`; no step format is forced upon the generator. Where generator and completer
differ, the paper's MC score of the bare problem is the generator's pass rate, and the first step's
progress then compares two models; here the completer's own 32 rollouts from the bare problem stand
in eq. 9 and eq. 10 (where both are one model, its samples do, as in the paper). What the paper
leaves open is decided in `RelativeProgress`. The teacher judges up to the first error it finds, so
labels behind the earlier of the two first errors are not compared. A section without an
executed check, or whose judgement contradicts it, is drawn again, at most four times a rationale.
"""

from factory.core.consensus import Agreement, Consensus
from factory.core.labelers import RelativeProgress
from factory.core.planners import KByDifficulty
from factory.core.recipe import Recipe
from factory.core.selection import Selection
from factory.core.teachers.genprm import GenPrmForm
from factory.core.teaching import Curation, Teaching
from schemas.generation import Sampling

RECIPE = Recipe(
    name="genprm",
    summary="relative progress >= 0.8, rationales with executed checks that agree with it",
    num_solutions=32,
    selection=Selection(min_correct=1, min_wrong=1, max_solutions=16),
    needs_completer_root=True,
    planner=KByDifficulty(),
    labeler=RelativeProgress(threshold=0.8),
    teaching=Teaching(
        form=GenPrmForm(needs_check=True),
        sampling=Sampling(temperature=0.6, max_tokens=8192),
        max_redraws=4,
    ),
    curation=Curation(consensus=Consensus(agreement=Agreement.STEPS, max_tokens=8192)),
)
