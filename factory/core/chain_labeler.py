"""Labels from the posterior of the whole chain, with the probability that they are right."""

from dataclasses import dataclass, field

from factory.core.chain import Chain
from factory.core.chain_planner import LabelCosts
from factory.core.evalues import progress_interval, prove
from factory.core.labelers import StepLabel
from factory.core.posterior import ChainPosterior, Question, StillSolvable, infer
from factory.core.prior import ChainPrior


@dataclass(frozen=True, slots=True, kw_only=True)
class PosteriorLabels:
    """The label of smaller expected cost, and how sure it is.

    A step whose better label is right with a probability below `decided_from` is labelled all the
    same, and marked undecided: dropping such steps would skew what is kept. The last step of a
    solution with a known ending has no value of its own: it is good if the ending is right and
    the question finds nothing bad before it.

    The e-values and the interval of progress need no prior and hold whatever rule stopped the
    sampling; they are recorded and decide nothing.
    """

    prior: ChainPrior = ChainPrior()
    question: Question = field(default_factory=StillSolvable)
    costs: LabelCosts = LabelCosts()
    decided_from: float = 0.8
    progress_threshold: float = 0.8
    """What the e-values test: progress of at least this much."""

    def __post_init__(self) -> None:
        if not 0.5 <= self.decided_from <= 1:
            raise ValueError(f"decided_from must lie in [0.5, 1], not {self.decided_from}")

    def __call__(self, chain: Chain) -> tuple[StepLabel, ...]:
        posterior = infer(chain, self.prior, self.question)
        inner = range(1, len(posterior.marginals_NG))
        labels = [self._inner(chain, posterior, prefix) for prefix in inner]
        if chain.is_correct is not None:
            labels.append(self._last(chain, labels))
        return tuple(labels)

    def _inner(self, chain: Chain, posterior: ChainPosterior, prefix: int) -> StepLabel:
        good = float(posterior.good_I[prefix - 1])
        before, after = chain.counts_at(prefix - 1), chain.counts_at(prefix)
        low, high = posterior.interval(prefix)
        progress = progress_interval(before, after)
        proof = prove(before, after, self.progress_threshold)
        return StepLabel(
            label=self.costs.is_good(good),
            mc_score=after.mc_score,
            progress=after.mc_score / before.mc_score
            if after.mc_score is not None and before.mc_score
            else None,
            p_good=good,
            is_decided=max(good, 1 - good) >= self.decided_from,
            value_mean=float(posterior.means_N[prefix]),
            value_low=low,
            value_high=high,
            death_probability=float(posterior.deaths_N[prefix]),
            progress_low=progress.low,
            progress_high=progress.high,
            log_e_good=proof.log_e_good,
            log_e_bad=proof.log_e_bad,
        )

    def _last(self, chain: Chain, before: list[StepLabel]) -> StepLabel:
        """The whole solution: its value is its ending."""
        value = float(bool(chain.is_correct))
        good = value
        if self.question.is_closed and before:
            good *= before[-1].p_good or 0.0
        return StepLabel(
            label=self.costs.is_good(good),
            mc_score=value,
            progress=None,
            p_good=good,
            is_decided=max(good, 1 - good) >= self.decided_from,
            value_mean=value,
            value_low=value,
            value_high=value,
            death_probability=1 - value,
        )
