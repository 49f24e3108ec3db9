"""Fitting the chain prior to the counts a job has stored, and the label costs to the prior."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from factory.core.chain import Chain, chain_of
from factory.core.chain_labeler import PosteriorLabels
from factory.core.prior_fit import FittedRecipe, fit_prior, retuned_costs
from factory.errors import InputError
from factory.identity import manifest_in
from factory.job_folder import JobFolder
from factory.moving_rows import PAUSES_S, reread
from factory.publish import is_on_policy
from factory.recipes import load_recipe
from schemas.records import Status


def fit_folder(
    folder: Path, max_solutions: int, pauses_s: Iterable[float] = PAUSES_S
) -> FittedRecipe:
    """The prior under which a job's counts are likeliest, and the adaptive recipe's costs for it.

    Raises InputError when the folder holds no evidence of solutions with two steps or more.
    """
    manifest = manifest_in(folder)
    if manifest is None:
        raise InputError(f"{folder} holds no job: give the folder 'prm-factory label' made")
    on_policy, job = is_on_policy(manifest), JobFolder(path=folder)

    def chains() -> list[Chain]:
        every = (
            chain_of(group, solution, is_on_policy=on_policy)
            for group in job.groups(job.estimate)
            if group.status is Status.OK
            for solution in group.solutions
            if len(solution.steps) > 1
        )
        return list(islice(every, max_solutions))

    found = reread(folder, chains, pauses_s)
    if not found:
        raise InputError(f"{folder} holds no evidence of solutions with two steps or more")
    labels = load_recipe("adaptive").labeler
    assert isinstance(labels, PosteriorLabels)
    fit = fit_prior(found, labels.prior)
    costs = retuned_costs(
        found,
        old_prior=labels.prior,
        new_prior=fit.prior,
        question=labels.question,
        costs=labels.costs,
    )
    return FittedRecipe(fit=fit, costs=costs, old_costs=labels.costs)
