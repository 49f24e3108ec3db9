"""Scorers that write a verification and are read at its judgements."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from factory.programs.critique import CodeRunner
from factory.scorers.forms import Verify
from factory.scorers.scorer import SolutionText
from factory.scorers.verification import Verification, averaged
from schemas.ids import seed_from
from workers.admission import Admission
from workers.engine import Engine, EngineDead


class GenerativeScorer:
    """The mean over `num_samples` verifications of every solution (Maj@N).

    Seeds come from the texts: the same solution has the same verifications in any company.
    """

    def __init__(
        self,
        engine: Engine,
        sandbox: CodeRunner,
        verify: Verify,
        *,
        num_samples: int = 1,
        seed: int = 0,
        description: dict[str, Any] | None = None,
    ) -> None:
        if num_samples < 1:
            raise ValueError(f"num_samples must be at least 1, not {num_samples}")
        self.unscored: Counter[str] = Counter()
        self._engine, self._sandbox, self._verify = engine, sandbox, verify
        self._num_samples, self._seed = num_samples, seed
        self._description = description or {}
        self._runner = asyncio.Runner()  # an engine belongs to one event loop

    def score(self, problem: str, steps: Sequence[str]) -> list[float]:
        return self.score_all([SolutionText(problem=problem, steps=tuple(steps))])[0]

    def score_all(self, solutions: Sequence[SolutionText]) -> list[list[float]]:
        return self._runner.run(self._all(solutions))

    def describe(self) -> dict[str, Any]:
        return {**self._description, "num_samples": self._num_samples}

    def close(self) -> None:
        self._runner.close()
        self._engine.close()
        if close := getattr(self._sandbox, "close", None):
            close()

    async def _all(self, solutions: Sequence[SolutionText]) -> list[list[float]]:
        try:
            return await self._drawn(solutions)
        except BaseExceptionGroup as group:
            found: BaseException | None = group.subgroup(EngineDead)
            while isinstance(found, BaseExceptionGroup):
                found = found.exceptions[0]
            if found is None:
                raise
            raise EngineDead(str(found)) from None

    async def _drawn(self, solutions: Sequence[SolutionText]) -> list[list[float]]:
        engine = Admission(self._engine)
        async with asyncio.TaskGroup() as tasks:
            work = [
                [
                    tasks.create_task(
                        self._verify(
                            solution,
                            engine,
                            self._sandbox,
                            seed_from(self._seed, solution.problem, *solution.steps, index),
                        )
                    )
                    for index in range(self._num_samples)
                ]
                for solution in solutions
            ]
        return [
            self._scores([task.result() for task in own], solution)
            for own, solution in zip(work, solutions, strict=True)
        ]

    def _scores(self, found: Sequence[Verification], solution: SolutionText) -> list[float]:
        self.unscored.update(v.reason for v in found if v.reason is not None)
        return averaged(found, len(solution.steps))
