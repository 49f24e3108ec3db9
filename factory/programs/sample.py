"""The sample stage: the generator attempts a problem many times, and the best mix is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from factory.core.counting import Rollout, count_rollouts
from factory.core.prompts import SolvePrompt
from factory.core.recipe import Recipe
from factory.core.steps import split_steps
from factory.programs.rollouts import graded
from schemas.generation import Completion
from schemas.ids import content_id, seed_from
from schemas.records import ProblemGroup, Solution, Status, StopReason
from workers.admission import Admission
from workers.engine import PromptTooLong
from workers.program import AnswerGrader

QUESTION_TOO_LONG = "question too long for the generator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Samples solutions, grades them, and keeps what the recipe selects.

    Equal texts become one solution with `num_samples` above 1. All samples count towards
    `sampled`, the generator's pass rate, whether their solution is kept or not; one that the
    context cut before it answered is among its ungraded.
    """

    recipe: Recipe
    prompt: SolvePrompt
    seed: int

    async def __call__(
        self, group: ProblemGroup, engine: Admission, grader: AnswerGrader
    ) -> ProblemGroup:
        if group.status is not Status.OK:
            return group
        seeds = [
            seed_from(self.seed, "solution", group.problem_id, i)
            for i in range(self.recipe.num_solutions)
        ]
        try:
            async with engine.turn():
                completions = await engine.complete(
                    self.prompt(group.question), self.recipe.sampling, seeds
                )
        except PromptTooLong:
            return replace(group, status=Status.DROPPED, reason=QUESTION_TOO_LONG)
        rollouts = await graded(group.answer, "", completions, grader)
        sampled = count_rollouts(
            rollouts, num_first=len(rollouts), num_rounds=1, stop_reason=StopReason.FIXED
        )
        return self.recipe.selection(
            replace(group, sampled=sampled, solutions=self._solutions(group, completions, rollouts))
        )

    def _solutions(
        self,
        group: ProblemGroup,
        completions: Sequence[Completion],
        rollouts: Sequence[Rollout],
    ) -> tuple[Solution, ...]:
        """The distinct solutions, in the order they were first sampled."""
        found: dict[str, Solution] = {}
        for completion, rollout in zip(completions, rollouts, strict=True):
            steps = split_steps(completion.text, self.recipe.step_style)
            if not steps:
                continue
            solution_id = content_id(group.problem_id, completion.text)
            known = found.get(solution_id)
            found[solution_id] = (
                replace(known, num_samples=known.num_samples + 1)
                if known
                else Solution(
                    solution_id=solution_id,
                    steps=steps,
                    answer=rollout.answer,
                    verdict=rollout.verdict,
                    num_samples=1,
                    num_tokens=completion.num_tokens,
                    finish_reason=completion.finish_reason,
                )
            )
        return tuple(found.values())
