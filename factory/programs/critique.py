"""The critique stage: a teacher judges every step, and the code it writes is executed."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from factory.core.teachers.form import CONTRADICTION, OWN_OUTPUT, Reading
from factory.core.teaching import Teaching
from schemas.generation import Completion, FinishReason, Prompt
from schemas.ids import seed_from
from schemas.rationales import Rationale
from schemas.records import ProblemGroup, Solution, Status
from workers.admission import Admission
from workers.counting import count
from workers.engine import PromptTooLong
from workers.sandbox import CellResult, CellStatus

TOO_LONG_FOR_TEACHER = "longer than the teacher's context"
CUT = "cut at the token limit"
CUT_BY_CONTEXT = "cut at the end of the teacher's context"
THOUGHTS_END = "</think>"
CODE_WITHOUT_END = "code without end"


class CodeRunner(Protocol):
    """Runs the last of some cells after replaying those before it. Never raises for their code."""

    async def run(self, cells: Sequence[str]) -> CellResult:
        """What the last cell printed, and how it ended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Critique:
    """Asks for rationales about every solution of a group.

    A text is drawn up to where its form pauses. A block of code that ends there is executed, its
    output put into the text, and the teacher goes on from it. A section that is malformed, or
    whose judgement contradicts its own check, is drawn again from its beginning.
    """

    teaching: Teaching
    seed: int

    async def __call__(
        self, group: ProblemGroup, engine: Admission, sandbox: CodeRunner
    ) -> ProblemGroup:
        if group.status is not Status.OK:
            return group
        async with asyncio.TaskGroup() as tasks:
            work = [
                tasks.create_task(self._all_of(solution, group, engine, sandbox))
                for solution in group.solutions
            ]
        solutions = tuple(task.result() for task in work)
        written = [r for solution in solutions for r in solution.rationales]
        num_tokens = sum(r.num_tokens + r.num_tokens_discarded for r in written)
        return replace(group, solutions=solutions, num_teacher_tokens=num_tokens)

    async def _all_of(
        self, solution: Solution, group: ProblemGroup, engine: Admission, sandbox: CodeRunner
    ) -> Solution:
        async with asyncio.TaskGroup() as tasks:
            work = [
                tasks.create_task(self._one_of(solution, index, group, engine, sandbox))
                for index in range(self.teaching.num_rationales)
            ]
        return replace(solution, rationales=tuple(task.result() for task in work))

    async def _one_of(
        self,
        solution: Solution,
        index: int,
        group: ProblemGroup,
        engine: Admission,
        sandbox: CodeRunner,
    ) -> Rationale:
        writing = _Writing(
            teaching=self.teaching,
            prompt=self.teaching.form.prompt(group.question, solution.steps),
            num_steps=len(solution.steps),
            engine=engine,
            sandbox=sandbox,
            seed=seed_from(self.seed, "rationale", group.problem_id, solution.solution_id, index),
        )
        async with engine.turn():
            return await writing.rationale()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """What was drawn from one beginning, up to the end of a section or of the text."""

    text: str
    num_tokens: int = 0
    statuses: tuple[CellStatus, ...] = ()
    """How its blocks of code ended."""
    is_last: bool = False
    """The teacher ended its turn."""
    trouble: str | None = None
    """Why it could not be finished."""


@dataclass(slots=True, kw_only=True)
class _Writing:
    """One rationale while it is written."""

    teaching: Teaching
    prompt: Prompt
    num_steps: int
    engine: Admission
    sandbox: CodeRunner
    seed: int
    num_drawn: int = 0
    """Completions so far; each has a seed of its own."""
    redrawn: Counter[str] = field(default_factory=Counter)
    num_discarded: int = 0
    num_thought: int = 0
    """Tokens of thoughts."""

    async def rationale(self) -> Rationale:
        text, kept = self.prompt.prefix, list[_Section]()
        if self.teaching.thinks:
            text += await self._think(text)
        problem: str | None = None
        while True:
            section = await self._section(text, kept)
            problem = section.trouble or self._problem(section, text, kept)
            if problem is None or self._is_final(section, problem):
                kept.append(section)
                text += section.text
                if problem or section.is_last or len(kept) > self.num_steps:
                    return self._read(text, kept, problem)
                continue
            self.redrawn[problem] += 1
            self.num_discarded += section.num_tokens

    def _is_final(self, section: _Section, problem: str) -> bool:
        """Whether drawing again cannot help, or has been tried often enough."""
        is_spent = self.redrawn.total() >= self.teaching.max_redraws
        has_no_room = problem == TOO_LONG_FOR_TEACHER or (problem == CUT and not section.text)
        return is_spent or has_no_room

    def _problem(self, section: _Section, before: str, kept: Sequence[_Section]) -> str | None:
        form = self.teaching.form
        whole = before + section.text
        num_executed = sum(len(s.statuses) for s in (*kept, section))
        if section.is_last:
            claims_more = len(form.code_blocks(whole)) != num_executed
            return form.read(whole, self.num_steps).reason or (OWN_OUTPUT if claims_more else None)
        # The first section begins with what the prompt has put into the teacher's mouth.
        text = section.text if kept else self.prompt.prefix + section.text
        return form.section_problem(text, step=len(kept), num_executed=len(section.statuses))

    async def _think(self, before: str) -> str:
        """Thoughts up to their end: nothing in them is executed, judged or drawn again.

        None where the prompt has no room for any: the first section will say so.
        """
        try:
            completion = await self._complete(
                before, self.teaching.sampling.max_tokens, (THOUGHTS_END,)
            )
        except PromptTooLong:
            return ""
        self.num_thought += completion.num_tokens
        return completion.text + (completion.stop_string or "")

    def _read(self, text: str, kept: Sequence[_Section], problem: str | None) -> Rationale:
        reading = self.teaching.form.read(text, self.num_steps)
        if problem is not None:
            reading = Reading(reason=problem)
        statuses = [status for section in kept for status in section.statuses]
        return Rationale(
            text=text,
            verdicts=reading.verdicts,
            reason=reading.reason,
            num_tokens=self.num_thought + sum(section.num_tokens for section in kept),
            num_tokens_discarded=self.num_discarded,
            num_redrawn=self.redrawn.total() - self.redrawn[CONTRADICTION],
            num_contradictions=self.redrawn[CONTRADICTION] + (problem == CONTRADICTION),
            num_code_blocks=len(statuses),
            num_code_failures=sum(status is not CellStatus.OK for status in statuses),
        )

    async def _section(self, before: str, kept: Sequence[_Section]) -> _Section:
        form = self.teaching.form
        budget = self.teaching.sampling.max_tokens - self.num_thought
        budget -= sum(section.num_tokens for section in kept)
        earlier = [status for section in kept for status in section.statuses]
        text, num_tokens, statuses = before, 0, list[CellStatus]()

        def ended(*, is_last: bool = False, trouble: str | None = None) -> _Section:
            return _Section(
                text=text[len(before) :],
                num_tokens=num_tokens,
                statuses=tuple(statuses),
                is_last=is_last,
                trouble=trouble,
            )

        while True:
            if num_tokens >= budget:
                return ended(trouble=CUT)
            try:
                completion = await self._complete(text, budget - num_tokens, form.stop)
            except PromptTooLong:
                return ended(trouble=TOO_LONG_FOR_TEACHER)
            num_tokens += completion.num_tokens
            text += completion.text
            if completion.finish_reason is FinishReason.CONTEXT:
                return ended(trouble=CUT_BY_CONTEXT)
            if completion.finish_reason is not FinishReason.STOP:
                return ended(trouble=CUT)
            if completion.stop_string is None:
                return ended(is_last=True)
            if completion.stop_string == form.section_end:
                text += completion.stop_string
                return ended()
            code = form.open_code(text)
            if code is None:
                text += completion.stop_string
                continue
            if len(statuses) >= form.max_code_blocks:
                return ended(trouble=CODE_WITHOUT_END)
            blocks, known = form.code_blocks(text), [*earlier, *statuses]
            if len(blocks) != len(known):
                return ended(trouble=OWN_OUTPUT)
            # A block that had to be stopped would have to be stopped again: its state is lost.
            replayed = [c for c, s in zip(blocks, known, strict=True) if s in _REPLAYED]
            result = await self.sandbox.run([*replayed, code])
            statuses.append(result.status)
            count(
                code_runs=1,
                code_timeouts=result.status is CellStatus.TIMEOUT,
                code_stopped=result.status in _STOPPED and result.status is not CellStatus.TIMEOUT,
            )
            text = form.with_output(text, shown(result))

    async def _complete(self, text: str, max_tokens: int, stop: tuple[str, ...]) -> Completion:
        sampling = replace(self.teaching.sampling, max_tokens=max_tokens, stop=stop)
        seed = seed_from(self.seed, self.num_drawn)
        self.num_drawn += 1
        [completion] = await self.engine.complete(
            replace(self.prompt, prefix=text), sampling, [seed]
        )
        return completion


_REPLAYED = (CellStatus.OK, CellStatus.ERROR)
_STOPPED = {
    CellStatus.TIMEOUT: "TimeoutError: the code did not finish in time",
    CellStatus.MEMORY: "MemoryError: the code took too much memory",
    CellStatus.FLOOD: "RuntimeError: the code printed too much",
    CellStatus.KILLED: "RuntimeError: the code was stopped",
    CellStatus.REPLAY: "RuntimeError: the code before this did not finish",
}


def shown(result: CellResult) -> str:
    """What the teacher sees of a result: the output, and one line where the code was stopped."""
    if result.status not in _STOPPED:
        return result.output
    ends = "" if not result.output or result.output.endswith("\n") else "\n"
    return f"{result.output}{ends}{_STOPPED[result.status]}\n"
