"""How a generative PRM is asked to verify a solution, by the form it was trained on.

- `critique`: one text with a section for each step, as the factory's GenPRM teachers write it.
- `genprm`: a conversation, in which each turn shows a step and is answered by its section: what
  GenPRM's data, and this factory's `rationales`, train a model on.
- `thinkprm`: a chain of thought with a decision on each step, then a question about them all.

A judgement's probability is read by asking the engine again: with all that was written before the
judgement in place, how likely were Yes and No? The prompt is in the engine's cache by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from factory.core.sft import ASSISTANT, GENPRM_SYSTEM, SYSTEM, USER
from factory.core.teachers.form import (
    EMPTY,
    INCOMPLETE,
    MALFORMED,
    OWN_OUTPUT,
    TOO_MUCH_CODE,
    UNCLOSED,
    Form,
)
from factory.core.teachers.genprm import GenPrmForm
from factory.core.teachers.genprm_text import critique_of
from factory.core.teachers.judgements import Judged, after_thinking
from factory.core.teachers.thinkprm import (
    ANSWERS,
    QUESTION,
    THOUGHTS_END,
    ThinkPrmForm,
    cut_after_last_decision,
    decisions_of,
)
from factory.core.teaching import Teaching
from factory.programs.critique import CUT, TOO_LONG_FOR_TEACHER, CodeRunner, Critique, shown
from factory.scorers.scorer import SolutionText
from factory.scorers.verification import Verification, p_good
from schemas.generation import FinishReason, Message, Prompt, Sampling
from schemas.ids import seed_from
from schemas.records import ProblemGroup, Solution, Verdict
from workers.admission import Admission
from workers.engine import PromptTooLong

YES_NO, CORRECT = ("Yes", "No"), ("correct", "incorrect")


class Verify(Protocol):
    """Draws one verification of a solution."""

    async def __call__(
        self, solution: SolutionText, engine: Admission, sandbox: CodeRunner, seed: int
    ) -> Verification: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CritiqueForm:
    """A text in sections, drawn as a teacher's is; a malformed section is drawn again.

    A judgement that contradicts its check stays: a reward is of what the model says.
    """

    sampling: Sampling
    form: Form = field(default_factory=lambda: GenPrmForm(rejects_contradictions=False))

    async def __call__(
        self, solution: SolutionText, engine: Admission, sandbox: CodeRunner, seed: int
    ) -> Verification:
        program = Critique(teaching=Teaching(form=self.form, sampling=self.sampling), seed=seed)
        group = await program(_group(solution), engine, sandbox)
        [rationale] = group.solutions[0].rationales
        if rationale.reason is not None:
            return Verification(reason=rationale.reason)
        offset = len(rationale.text) - len(after_thinking(rationale.text))
        judged = critique_of(rationale.text[offset:]).steps[: len(rationale.verdicts)]
        if [step.is_good for step in judged] != list(rationale.verdicts):
            return Verification(reason=INCOMPLETE)
        prompt = self.form.prompt(solution.problem, solution.steps)
        scores = await _weighed(prompt, rationale.text, offset, judged, YES_NO, engine)
        return Verification(scores=scores)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationForm:
    """A turn for each step, up to and with the first that is judged No."""

    sampling: Sampling
    """`max_tokens` is for one turn."""
    system: str | None = GENPRM_SYSTEM
    form: GenPrmForm = field(default_factory=GenPrmForm)
    """How code is found and its output shown."""

    async def __call__(
        self, solution: SolutionText, engine: Admission, sandbox: CodeRunner, seed: int
    ) -> Verification:
        turns = [] if self.system is None else [Message(role=SYSTEM, content=self.system)]
        scores: list[float] = []
        cells: list[str] = []
        async with engine.turn():
            for i, step in enumerate(solution.steps):
                asked = step.strip() if i else f"Question: {solution.problem}\n\n{step.strip()}"
                turns.append(Message(role=USER, content=asked))
                prompt = Prompt(messages=tuple(turns))
                try:
                    text = await self._section(prompt, engine, sandbox, cells, seed_from(seed, i))
                    judged = critique_of(text).steps
                    if len(judged) != 1 or judged[0].is_good is None:
                        return Verification(reason=MALFORMED)
                    scores += await _weighed(prompt, text, 0, judged, YES_NO, engine)
                except PromptTooLong:
                    return Verification(reason=TOO_LONG_FOR_TEACHER)
                except _Unusable as found:
                    return Verification(reason=str(found))
                if not judged[0].is_good:
                    break
                turns.append(Message(role=ASSISTANT, content=text))
        return Verification(scores=tuple(scores))

    async def _section(
        self, prompt: Prompt, engine: Admission, sandbox: CodeRunner, cells: list[str], seed: int
    ) -> str:
        """One turn's text, with the output of its code in place; its code joins `cells`."""
        text, budget, num_run = "", self.sampling.max_tokens, 0
        while budget > 0:
            sampling = replace(self.sampling, max_tokens=budget, stop=self.form.stop)
            [drawn] = await engine.complete(
                replace(prompt, prefix=text), sampling, [seed_from(seed, len(text))]
            )
            text, budget = text + drawn.text, budget - drawn.num_tokens
            if drawn.finish_reason is not FinishReason.STOP:
                break
            if drawn.stop_string is None:
                raise _Unusable(UNCLOSED)
            if drawn.stop_string == self.form.section_end:
                return text + drawn.stop_string
            code = self.form.open_code(text)
            if code is None:
                text += drawn.stop_string
                continue
            if len(self.form.code_blocks(text)) != num_run:
                raise _Unusable(OWN_OUTPUT)
            num_run += 1
            if num_run > self.form.max_code_blocks:
                raise _Unusable(TOO_MUCH_CODE)
            result = await sandbox.run([*cells, code])
            cells.append(code)
            text = self.form.with_output(text, shown(result))
        raise _Unusable(CUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainForm:
    """A chain of thought. The last step's score is the answer to the question about all steps.

    That answer is ThinkPRM's own score of a solution (arXiv 2504.16828), the `last` aggregation
    here; the steps before it have the probability of `correct` at their decisions. The chain stays
    as it was drawn, so its thoughts are opened once: by the model, or by the chat template.
    """

    sampling: Sampling
    form: ThinkPrmForm = field(default_factory=ThinkPrmForm)

    async def __call__(
        self, solution: SolutionText, engine: Admission, sandbox: CodeRunner, seed: int
    ) -> Verification:
        prompt = self.form.prompt(solution.problem, solution.steps)
        sampling = replace(self.sampling, stop=(THOUGHTS_END,))
        try:
            async with engine.turn():
                [drawn] = await engine.complete(prompt, sampling, [seed])
        except PromptTooLong:
            return Verification(reason=TOO_LONG_FOR_TEACHER)
        if not drawn.text.strip():
            return Verification(reason=EMPTY)
        if drawn.finish_reason is not FinishReason.STOP:
            return Verification(reason=CUT)
        text = prompt.prefix + drawn.text
        reading = self.form.read(text, len(solution.steps))
        if reading.reason is not None:
            return Verification(reason=reading.reason)
        judged = decisions_of(text)[: len(reading.verdicts)]
        decided = cut_after_last_decision(text)
        end = text.index(decided) + len(decided)
        try:
            scores = await _weighed(prompt, text, 0, judged, CORRECT, engine)
            asked = f"{text[:end]}\n{THOUGHTS_END}{QUESTION}"
            weights = await engine.weigh(replace(prompt, prefix=asked), tuple(ANSWERS.values()))
        except PromptTooLong:
            return Verification(reason=TOO_LONG_FOR_TEACHER)
        if len(scores) == len(solution.steps):
            scores = scores[:-1]
        return Verification(scores=(*scores, p_good(*weights)))


class _Unusable(Exception):
    """Why a turn says nothing."""


async def _weighed(
    prompt: Prompt,
    text: str,
    offset: int,
    judged: Sequence[Judged],
    options: tuple[str, str],
    engine: Admission,
) -> tuple[float, ...]:
    """P(good) at each judgement, whose places count from `offset`."""
    scores = []
    for step in judged:
        assert step.is_good is not None
        start = offset + step.start
        before = replace(prompt, prefix=text[:start])
        written = text[start : start + len(options[not step.is_good])]
        scores.append(p_good(*await engine.weigh(before, _spelt_as(written, options))))
    return tuple(scores)


def _spelt_as(written: str, options: Sequence[str]) -> tuple[str, ...]:
    """The options in the case of a word that was written: YES, Yes or yes."""
    if written.isupper():
        return tuple(option.upper() for option in options)
    if written[0].isupper():
        return tuple(option.capitalize() for option in options)
    return tuple(option.lower() for option in options)


def _group(solution: SolutionText) -> ProblemGroup:
    given = Solution(
        solution_id="",
        steps=solution.steps,
        answer=None,
        verdict=Verdict.UNGRADED,
        num_samples=1,
        num_tokens=None,
        finish_reason=None,
    )
    return ProblemGroup(problem_id="", question=solution.problem, answer="", solutions=(given,))
