"""From a group of evidence and rationales to published rows."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import takewhile
from math import isinf

from factory.core.chain import Chain, chain_of, outcome
from factory.core.consensus import UNBALANCED, Decision, decided_labels
from factory.core.labelers import Labeler, StepLabel, first_error
from factory.core.rationale_rows import FORMATS, RationaleRow
from factory.core.sft import NOT_IN_SECTIONS
from factory.core.teaching import Curation, JudgedRationale, judged, kept, teacher_verdicts
from schemas.published import PublishedConsensus, PublishedSolution
from schemas.records import ProblemGroup, Solution, Status

NO_LABEL = "no evidence at its first step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What every published row says of the job that made it."""

    recipe: str
    digest: str
    generator: str | None
    completer: str | None
    sampling: str
    completing: str
    seed: int
    is_on_policy: bool = False
    """Whether one model sampled and completed, in the same way."""
    teacher: str | None = None
    form: str | None = None
    """Type of the teacher's form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedGroup:
    """What one problem comes to."""

    solutions: tuple[PublishedSolution, ...] = ()
    judged: tuple[JudgedRationale, ...] = ()
    """All rationales, the dropped ones with their reasons."""
    rationales: tuple[RationaleRow, ...] = ()
    """Those that are kept, for training a generative model; none where the form has no format."""
    consensus: tuple[PublishedConsensus, ...] = ()


def publish_group(
    group: ProblemGroup,
    labeler: Labeler,
    provenance: Provenance,
    curation: Curation = Curation(),
    unbalanced: AbstractSet[str] = frozenset(),
) -> PublishedGroup:
    """One row per solution that has at least its first step labelled, and what a teacher adds.

    Dropped and failed groups have none. A solution whose first step has no label yields nothing:
    the caller counts it as dropped with reason `NO_LABEL`. `unbalanced` are the ids of rationales
    that have to go for balance.
    """
    if group.status is not Status.OK:
        return PublishedGroup()
    chains = [chain_of(group, s, is_on_policy=provenance.is_on_policy) for s in group.solutions]
    labels = [labeler(chain) for chain in chains]
    found = judge_group(group, labels, provenance, curation, unbalanced)
    decisions = kept(found)
    chosen = [one for one in found if one.candidate.decision.keep]
    first_chosen = {one.solution.solution_id: one for one in reversed(chosen)}
    return PublishedGroup(
        solutions=tuple(
            _row(group, s, chain, own, decisions.get(s.solution_id), provenance)
            for s, chain, own in zip(group.solutions, chains, labels, strict=True)
            if own[0].label is not None
        ),
        judged=found,
        rationales=tuple(
            row for one in chosen if (row := _rationale_row(group, one, provenance)) is not None
        ),
        consensus=tuple(
            _consensus_row(group, first_chosen[s.solution_id], provenance)
            for s in group.solutions
            if s.solution_id in first_chosen
        ),
    )


def judge_group(
    group: ProblemGroup,
    labels: Sequence[Sequence[StepLabel]],
    provenance: Provenance,
    curation: Curation,
    unbalanced: AbstractSet[str] = frozenset(),
) -> tuple[JudgedRationale, ...]:
    """The rationales with their decisions; those without a row in the form's format are dropped."""
    found = judged(group, [decided_labels(own) for own in labels], curation)
    return tuple(
        replace(one, candidate=replace(one.candidate, decision=Decision(reason=reason)))
        if one.candidate.decision.keep
        and (reason := _late_reason(group, one, provenance, unbalanced))
        else one
        for one in found
    )


def _late_reason(
    group: ProblemGroup, one: JudgedRationale, provenance: Provenance, unbalanced: AbstractSet[str]
) -> str | None:
    if one.candidate.rationale_id in unbalanced:
        return UNBALANCED
    has_format = provenance.form in FORMATS
    lacks_row = has_format and _rationale_row(group, one, provenance) is None
    return NOT_IN_SECTIONS if lacks_row else None


def _rationale_row(
    group: ProblemGroup, one: JudgedRationale, provenance: Provenance
) -> RationaleRow | None:
    if provenance.form not in FORMATS:
        return None
    return FORMATS[provenance.form].row(group, one, provenance.teacher or "")


def _consensus_row(
    group: ProblemGroup, one: JudgedRationale, provenance: Provenance
) -> PublishedConsensus:
    """Up to and with the first error, which both name; arXiv 2501.07301 removes what follows."""
    labels = one.candidate.reading.verdicts
    return PublishedConsensus(
        prompt=group.question,
        completions=tuple(step.strip() for step in one.solution.steps[: len(labels)]),
        labels=labels,
        first_error=one.candidate.reading.first_error,
        problem_id=group.problem_id,
        solution_id=one.solution.solution_id,
        teacher=provenance.teacher or "",
    )


def _row(
    group: ProblemGroup,
    solution: Solution,
    chain: Chain,
    labels: tuple[StepLabel, ...],
    decision: Decision | None,
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
        teacher_labels=teacher_verdicts(solution),
        first_error=first_error(labels),
        num_rationales=len(solution.rationales),
        is_consensus=decision.keep if decision else None,
        consensus_reason=decision.reason if decision else None,
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
        teacher=provenance.teacher,
        sampling=provenance.sampling,
        completing=provenance.completing,
        seed=provenance.seed,
    )


def _finite(bound: float | None) -> float | None:
    """No bound at all is null, not infinity, which JSON cannot say."""
    return None if bound is None or isinf(bound) else bound
