"""From rollouts to stored evidence."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.records import AnswerCount, Evidence, StopReason, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A completion with a verdict."""

    answer: str | None
    verdict: Verdict
    num_tokens: int
    is_truncated: bool


def count_rollouts(
    rollouts: Sequence[Rollout], *, num_first: int, num_rounds: int, stop_reason: StopReason
) -> Evidence:
    """Counts of these rollouts, which are in the order they were issued.

    `num_first` of them were the first batch. Answers are sorted, most frequent first.
    """
    answers = Counter((rollout.answer, rollout.verdict) for rollout in rollouts)
    first = [rollout.verdict for rollout in rollouts[:num_first]]
    verdicts = [rollout.verdict for rollout in rollouts]
    return Evidence(
        num_rollouts=sum(verdict.is_decided for verdict in verdicts),
        num_correct=verdicts.count(Verdict.CORRECT),
        num_ungraded=sum(not verdict.is_decided for verdict in verdicts),
        num_truncated=sum(rollout.is_truncated for rollout in rollouts),
        num_tokens=sum(rollout.num_tokens for rollout in rollouts),
        num_rounds=num_rounds,
        num_first=sum(verdict.is_decided for verdict in first),
        num_first_correct=first.count(Verdict.CORRECT),
        stop_reason=stop_reason,
        answers=tuple(
            AnswerCount(answer=answer, verdict=verdict, count=count)
            for (answer, verdict), count in sorted(
                answers.items(), key=lambda item: (-item[1], item[0][0] or "", item[0][1])
            )
        ),
    )


def no_rollouts(stop_reason: StopReason) -> Evidence:
    """The evidence at a prefix nothing was spent on."""
    return count_rollouts((), num_first=0, num_rounds=0, stop_reason=stop_reason)
