"""Completions with verdicts: what both programs ask of an engine and a grader."""

from collections.abc import Sequence

from factory.core.answers import extract_answer
from factory.core.counting import Rollout
from schemas.generation import Completion, FinishReason
from schemas.records import Verdict
from workers.counting import count
from workers.program import AnswerGrader


async def graded(
    gold: str, prefix: str, completions: Sequence[Completion], grader: AnswerGrader
) -> tuple[Rollout, ...]:
    """One rollout per completion of `prefix`, in their order."""
    answers = [_answer(prefix, completion) for completion in completions]
    verdicts = await grader.grade(gold, answers)
    rollouts = tuple(
        Rollout(
            answer=answer,
            verdict=_verdict(verdict, completion),
            num_tokens=completion.num_tokens,
            is_truncated=_is_truncated(completion),
        )
        for answer, verdict, completion in zip(answers, verdicts, completions, strict=True)
    )
    count(
        rollouts=len(rollouts),
        ungraded=sum(not rollout.verdict.is_decided for rollout in rollouts),
        grader_timeouts=sum(rollout.verdict is Verdict.TIMEOUT for rollout in rollouts),
    )
    return rollouts


def _answer(prefix: str, completion: Completion) -> str | None:
    """What the whole text answers; of a cut one, what was said since the prefix."""
    said = "" if _is_truncated(completion) else prefix
    return extract_answer(said + completion.text)


def _verdict(verdict: Verdict, completion: Completion) -> Verdict:
    """Running out of `max_tokens` without an answer is wrong, running out of context is no verdict.

    Otherwise late prefixes, which leave less room, would look worse than they are.
    """
    is_cut = completion.finish_reason is FinishReason.CONTEXT and verdict is Verdict.NO_ANSWER
    return Verdict.CUT if is_cut else verdict


def _is_truncated(completion: Completion) -> bool:
    return completion.finish_reason is not FinishReason.STOP
