"""From a group of evidence to published rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from math import isinf

from factory.core.chain import Chain, chain_of, outcome
from factory.core.labelers import Labeler, StepLabel, first_error
from schemas.published import PublishedSolution
from schemas.records import ProblemGroup, Solution, Status

NO_LABEL = "no evidence at its first step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What every published row says of the job that made it."""

    recipe: str
    digest: str
    generator: str | None
    completer: str
    sampling: str
    completing: str
    seed: int
    is_on_policy: bool = False
    """Whether one model sampled and completed, in the same way."""


def publish_group(
    group: ProblemGroup, labeler: Labeler, provenance: Provenance
) -> Iterator[PublishedSolution]:
    """One row per solution that has at least its first step labelled.

    Dropped and failed groups have none. A solution whose first step has no label yields nothing:
    the caller counts it as dropped with reason `NO_LABEL`.
    """
    if group.status is not Status.OK:
        return
    for solution in group.solutions:
        chain = chain_of(group, solution, is_on_policy=provenance.is_on_policy)
        labels = labeler(chain)
        if labels[0].label is not None:
            yield _row(group, solution, chain, labels, provenance)


def _row(
    group: ProblemGroup,
    solution: Solution,
    chain: Chain,
    labels: tuple[StepLabel, ...],
    provenance: Provenance,
) -> PublishedSolution:
    complete = [bool(s.label) for s in takewhile(lambda s: s.label is not None, labels)]
    steps = [step.strip() for step in solution.steps]
    evidence = solution.evidence
    return PublishedSolution(
        prompt=group.question,
        completions=tuple(steps[: len(complete)]),
        labels=tuple(complete),
        unlabelled_steps=tuple(steps[len(complete) :]),
        step_labels=tuple(step.label for step in labels),
        mc_scores=tuple(step.mc_score for step in labels),
        progress=tuple(step.progress for step in labels),
        num_rollouts=tuple(e.num_rollouts for e in evidence),
        num_correct=tuple(e.num_correct for e in evidence),
        num_ungraded=tuple(e.num_ungraded for e in evidence),
        num_truncated=tuple(e.num_truncated for e in evidence),
        num_rollout_tokens=tuple(e.num_tokens for e in evidence),
        num_first=tuple(e.num_first for e in evidence),
        num_first_correct=tuple(e.num_first_correct for e in evidence),
        stop_reasons=tuple(e.stop_reason.value for e in evidence),
        p_good=tuple(step.p_good for step in labels),
        is_decided=tuple(step.is_decided for step in labels),
        value_means=tuple(step.value_mean for step in labels),
        value_lows=tuple(step.value_low for step in labels),
        value_highs=tuple(step.value_high for step in labels),
        death_probabilities=tuple(step.death_probability for step in labels),
        progress_lows=tuple(step.progress_low for step in labels),
        progress_highs=tuple(_finite(step.progress_high) for step in labels),
        log_e_good=tuple(step.log_e_good for step in labels),
        log_e_bad=tuple(step.log_e_bad for step in labels),
        num_rounds=tuple(e.num_rounds for e in evidence),
        first_error=first_error(labels),
        answer=solution.answer,
        is_correct=outcome(solution.verdict),
        reference_answer=group.answer,
        root_num_rollouts=chain.root.num_rollouts,
        root_num_correct=chain.root.num_correct,
        num_samples=solution.num_samples,
        problem_id=group.problem_id,
        solution_id=solution.solution_id,
        metadata=group.metadata,
        recipe=provenance.recipe,
        digest=provenance.digest,
        generator=provenance.generator if group.sampled else None,
        completer=provenance.completer,
        sampling=provenance.sampling,
        completing=provenance.completing,
        seed=provenance.seed,
    )


def _finite(bound: float | None) -> float | None:
    """No bound at all is null, not infinity, which JSON cannot say."""
    return None if bound is None or isinf(bound) else bound
