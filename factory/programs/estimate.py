"""The estimate stage: rollouts from every prefix until the recipe's planner has enough."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace

from factory.core.chain import Chain, Counts, counts_of, outcome, root_evidence
from factory.core.counting import no_rollouts
from factory.core.planners import Plan
from factory.core.prompts import SolvePrompt
from factory.core.recipe import Recipe
from factory.programs.arms import Arm, Arms
from schemas.records import Evidence, ProblemGroup, Solution, Status, StopReason, Verdict
from workers.admission import Admission
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
        """Solutions that were given and not sampled are graded here, and cut to the maximum."""
        given = [s for s in group.solutions if s.verdict is Verdict.UNGRADED]
        if not given:
            return group
        verdicts = await grader.grade(group.answer, [s.answer for s in given])
        graded = [replace(s, verdict=v) for s, v in zip(given, verdicts, strict=True)]
        return replace(group, solutions=self.recipe.selection.chosen(graded))

    async def _solution(self, solution: Solution, group: ProblemGroup, arms: Arms) -> Solution:
        prefixes = ["".join(solution.steps[:n]) for n in range(len(solution.steps) + 1)]
        known_root = counts_of(root_evidence(group))
        rounds: dict[int, list[int]] = defaultdict(list)
        """Rollouts issued after each round, by prefix."""

        def chain() -> Chain:
            counts = [
                arms.at(text).counts(rounds[n][-1]) if rounds[n] else Counts()
                for n, text in enumerate(prefixes)
            ]
            return Chain(
                root=counts[0] if rounds[0] else known_root,
                steps=tuple(counts[1:]),
                is_correct=outcome(solution.verdict),
            )

        def next_plan() -> Plan:
            plan = self.recipe.planner.plan(chain())
            return {n: k for n, k in plan.items() if not arms.at(prefixes[n]).is_too_long}

        if plan := next_plan():
            async with arms.engine.turn():
                while plan:
                    asked = {n: (rounds[n][-1] if rounds[n] else 0) + k for n, k in plan.items()}
                    async with asyncio.TaskGroup() as tasks:
                        for n, num_rollouts in asked.items():
                            tasks.create_task(arms.at(prefixes[n]).draw(num_rollouts))
                    for n, num_rollouts in asked.items():
                        if not arms.at(prefixes[n]).is_too_long:
                            rounds[n].append(num_rollouts)
                    plan = next_plan()
        return replace(
            solution,
            evidence=tuple(
                self._evidence(arms.at(text), rounds[n], chain(), n)
                for n, text in enumerate(prefixes[1:], start=1)
            ),
        )

    def _evidence(self, arm: Arm, rounds: list[int], chain: Chain, prefix: int) -> Evidence:
        if rounds:
            return arm.evidence(rounds, self.recipe.planner.stop_reason(chain.counts_at(prefix)))
        if arm.is_too_long:
            return no_rollouts(StopReason.PROMPT_TOO_LONG)
        if prefix not in chain.open_prefixes:
            return no_rollouts(StopReason.KNOWN_OUTCOME)
        return no_rollouts(self.recipe.planner.stop_reason(chain.counts_at(prefix)))
