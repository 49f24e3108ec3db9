"""The estimate stage: rollouts from every prefix until the recipe's planner has enough."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from factory.core.chain import Chain, Counts, counts_of, outcome
from factory.core.counting import no_rollouts
from factory.core.planners import Plan
from factory.core.prompts import SolvePrompt
from factory.core.recipe import Recipe
from factory.programs.arms import Arm, Arms
from schemas.records import Evidence, ProblemGroup, Solution, Status, StopReason, Verdict
from workers.admission import Admission
from workers.counting import count
from workers.program import AnswerGrader


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Estimates every step of every solution of a group.

    Each solution goes its own way: plan, ask, count, plan again. Solutions that begin with the
    same text share the rollouts of that prefix, in the order they were issued.
    """

    recipe: Recipe
    prompt: SolvePrompt
    seed: int
    is_on_policy: bool = False
    """Whether the solutions were sampled from the model that completes, in the same way."""

    async def __call__(
        self, group: ProblemGroup, engine: Admission, grader: AnswerGrader
    ) -> ProblemGroup:
        if group.status is not Status.OK:
            return group
        group = await self._with_verdicts(group, grader)
        arms = Arms(
            group=group,
            prompt=self.prompt,
            sampling=self.recipe.completing,
            seed=self.seed,
            engine=engine,
            grader=grader,
        )
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(self._solution(s, group, arms)) for s in group.solutions]
        root = arms.at("")
        return replace(
            group,
            root=root.evidence([root.num_issued], StopReason.FIXED) if root.num_issued else None,
            solutions=tuple(task.result() for task in work),
            num_rollout_tokens=arms.num_tokens,
        )

    async def _with_verdicts(self, group: ProblemGroup, grader: AnswerGrader) -> ProblemGroup:
        """Solutions that were given and not sampled are graded here, and cut to the maximum.

        One without an answer stays ungraded. Nobody saw a model stop there: it may well go on to an
        answer, so rollouts from the whole of it say what it is worth.
        """
        given = [s for s in group.solutions if s.verdict is Verdict.UNGRADED]
        if not given:
            return group
        found = await grader.grade(group.answer, [s.answer for s in given])
        verdicts = iter(Verdict.UNGRADED if v is Verdict.NO_ANSWER else v for v in found)
        graded = [
            replace(s, verdict=next(verdicts)) if s.verdict is Verdict.UNGRADED else s
            for s in group.solutions
        ]
        return replace(group, solutions=self.recipe.selection.chosen(graded))

    async def _solution(self, solution: Solution, group: ProblemGroup, arms: Arms) -> Solution:
        all_arms = [arms.at(prefix) for prefix in accumulate(solution.steps, initial="")]
        rounds: list[list[int]] = [[] for _ in all_arms]
        """Rollouts issued to this solution after each of its rounds, by prefix."""
        is_on_policy = self.is_on_policy and group.sampled is not None
        has_root = is_on_policy or not self.recipe.needs_completer_root
        known_root = counts_of(group.sampled) if has_root else Counts()

        def chain() -> Chain:
            root, *steps = (
                arm.counts(issued[-1]) if issued else Counts()
                for arm, issued in zip(all_arms, rounds, strict=True)
            )
            return Chain(
                root=root if rounds[0] else known_root,
                steps=tuple(steps),
                is_correct=outcome(solution.verdict),
                is_on_policy=is_on_policy,
                lengths=tuple(len(step) for step in solution.steps),
            )

        def next_plan() -> Plan:
            plan = self.recipe.planner.plan(chain())
            return {n: k for n, k in plan.items() if not all_arms[n].is_too_long}

        if plan := next_plan():
            async with arms.engine.turn():
                while plan:
                    asked = {n: (rounds[n][-1] if rounds[n] else 0) + k for n, k in plan.items()}
                    async with asyncio.TaskGroup() as tasks:
                        for n, num_rollouts in asked.items():
                            tasks.create_task(all_arms[n].draw(num_rollouts))
                    for n, num_rollouts in asked.items():
                        if not all_arms[n].is_too_long:
                            rounds[n].append(num_rollouts)
                    count(rounds=1)
                    plan = next_plan()
        labels = self.recipe.labeler(chain())
        count(
            steps=len(labels),
            undecided=sum(step.label is None or step.is_decided is False for step in labels),
        )
        return replace(solution, evidence=self._evidence(all_arms, rounds, chain()))

    def _evidence(
        self, all_arms: Sequence[Arm], rounds: Sequence[Sequence[int]], chain: Chain
    ) -> tuple[Evidence, ...]:
        """One entry per step. What is too long for the model stays so with more steps."""
        found = []
        is_too_long = False
        for prefix, (arm, issued) in enumerate(zip(all_arms, rounds, strict=True)):
            is_too_long = is_too_long or arm.is_too_long
            planned = self.recipe.planner.stop_reason(chain.counts_at(prefix))
            if issued:
                found.append(arm.evidence(issued, planned))
            elif prefix not in chain.open_prefixes:
                found.append(no_rollouts(StopReason.KNOWN_OUTCOME))
            else:
                found.append(no_rollouts(StopReason.PROMPT_TOO_LONG if is_too_long else planned))
        return tuple(found[1:])
