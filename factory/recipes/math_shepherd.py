"""Math-Shepherd: hard labels from eight rollouts a step (Wang et al., arXiv 2312.08935).

Section 3.3: a completer finishes the problem N = 8 times from every step; the step is good if any
of them is right (hard estimation, HE). The share of right ones (soft estimation, SE) is published
beside the label as `mc_scores`.

Departures: the paper's steps are the lines of an instruction-tuned format, here they are split by
the style the text shows; problems without a single right sample are dropped, because no rollout
can tell their steps apart.
"""

from factory.core.recipe import Recipe

RECIPE = Recipe(
    name="math-shepherd",
    summary="hard labels (any of 8 rollouts right), soft labels beside them (arXiv 2312.08935)",
)
