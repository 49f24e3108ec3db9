"""Completions with verdicts: what both programs ask of an engine and a grader."""

from collections.abc import Sequence

from factory.core.answers import extract_answer
from factory.core.counting import Rollout
from schemas.generation import Completion, FinishReason
from workers.program import AnswerGrader


async def graded(
    gold: str, prefix: str, completions: Sequence[Completion], grader: AnswerGrader
) -> tuple[Rollout, ...]:
    """One rollout per completion of `prefix`, in their order."""
    answers = [extract_answer(prefix + completion.text) for completion in completions]
    verdicts = await grader.grade(gold, answers)
    return tuple(
        Rollout(
            answer=answer,
            verdict=verdict,
            num_tokens=completion.num_tokens,
            is_truncated=completion.finish_reason is not FinishReason.STOP,
        )
        for answer, verdict, completion in zip(answers, verdicts, completions, strict=True)
    )
