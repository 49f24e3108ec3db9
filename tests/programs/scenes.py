"""A small world for the programs: a grader of equal texts, and engines that answer from seeds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from factory.core.planners import FixedK
from factory.core.prompts import SolvePrompt
from factory.core.recipe import Recipe
from factory.programs.estimate import Estimate
from factory.programs.sample import Sample
from schemas.generation import Completion, FinishReason, Prompt, Sampling
from schemas.ids import seed_from
from schemas.records import ProblemGroup, Solution, Verdict
from workers.admission import Admission
from workers.engine import Engine
from workers.scripted_engine import ScriptedEngine

PROBLEM = ProblemGroup(problem_id="p", question="What is 2 + 2?", answer="4")


class EqualTexts:
    """A grader: the reference itself is right, "hard" cannot be decided."""

    def __init__(self) -> None:
        self.num_graded = 0

    async def grade(self, gold: str, answers: Sequence[str | None]) -> list[Verdict]:
        self.num_graded += len(answers)
        known = {None: Verdict.NO_ANSWER, "hard": Verdict.TIMEOUT, gold: Verdict.CORRECT}
        return [known.get(answer, Verdict.WRONG) for answer in answers]


class LateEngine(ScriptedEngine):
    """Answers in an order that depends on `lateness` and on nothing else."""

    lateness = 0

    async def complete(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> tuple[Completion, ...]:
        await asyncio.sleep(seed_from(self.lateness, prompt.prefix, *seeds) % 7 / 1000)
        return await super().complete(prompt, sampling, seeds)


class HeldEngine(ScriptedEngine):
    """Answers nothing until it is told to go on, and knows what it was asked by then."""

    def __init__(self) -> None:
        super().__init__(by_seed)
        self.prefixes: list[str] = []
        self.go_on = asyncio.Event()

    async def complete(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> tuple[Completion, ...]:
        self.prefixes.append(prompt.prefix)
        await self.go_on.wait()
        return await super().complete(prompt, sampling, seeds)


def by_seed(prompt: Prompt, seed: int) -> str:
    """Right, wrong, undecidable or without an answer, as the seed has it."""
    return ("\\boxed{4}", "\\boxed{4}", "\\boxed{5}", "\\boxed{hard}", "I give up")[seed % 5]


def say(text: str) -> Callable[[Prompt, int], str]:
    """Always this."""
    return lambda prompt, seed: text


def cut(text: str, at: FinishReason = FinishReason.LENGTH) -> Completion:
    return Completion(text=text, num_tokens=9, finish_reason=at)


def given(*steps: str, answer: str | None = "4") -> Solution:
    """A solution that came with its problem: nobody has graded it."""
    return Solution(
        solution_id="".join(steps),
        steps=steps,
        answer=answer,
        verdict=Verdict.UNGRADED,
        num_samples=1,
        num_tokens=None,
        finish_reason=None,
    )


def group(*solutions: Solution, **fields: Any) -> ProblemGroup:
    return ProblemGroup(
        problem_id="p", question="What is 2 + 2?", answer="4", solutions=solutions, **fields
    )


def recipe(**fields: Any) -> Recipe:
    return Recipe(**{"name": "r", "summary": "", "planner": FixedK(num_rollouts=8), **fields})


def run(work: Awaitable[ProblemGroup]) -> ProblemGroup:
    """Runs to the end, which comes soon."""

    async def soon() -> ProblemGroup:
        async with asyncio.timeout(20):
            return await work

    return asyncio.run(soon())


def estimate(
    group: ProblemGroup,
    engine: Engine,
    *,
    window: int | None = None,
    is_on_policy: bool = False,
    **fields: Any,
) -> ProblemGroup:
    program = Estimate(
        recipe=recipe(**fields), prompt=SolvePrompt(), seed=7, is_on_policy=is_on_policy
    )
    return run(program(group, Admission(engine, window), EqualTexts()))


def sample(engine: Engine, group: ProblemGroup = PROBLEM, **fields: Any) -> ProblemGroup:
    program = Sample(recipe=recipe(**fields), prompt=SolvePrompt(), seed=7)
    return run(program(group, Admission(engine), EqualTexts()))
