"""GenPRM's labels alone, without a teacher (arXiv 2504.00891, eq. 9 to 11); see `genprm`."""

from dataclasses import replace

from factory.recipes.genprm import RECIPE as GENPRM

RECIPE = replace(
    GENPRM,
    name="genprm-labels",
    summary="relative progress >= 0.8, 32 to 128 rollouts by difficulty",
    teaching=None,
)
