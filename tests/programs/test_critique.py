"""The critique stage: what a teacher writes becomes a rationale, whatever it writes."""

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from factory.core.teachers.form import CONTRADICTION, EMPTY, MALFORMED, NO_JUDGEMENT, Form
from factory.core.teachers.genprm import GenPrmForm
from factory.core.teachers.judge import JUDGE
from factory.core.teachers.thinkprm import ThinkPrmForm
from factory.core.teaching import Teaching
from factory.programs.critique import (
    CODE_WITHOUT_END,
    CUT,
    CUT_BY_CONTEXT,
    TOO_LONG_FOR_TEACHER,
    Critique,
)
from schemas.generation import Completion, FinishReason, Prompt, Sampling
from schemas.rationales import Rationale
from schemas.records import ProblemGroup, Status
from tests.programs.scenes import given, group, run
from workers.admission import Admission
from workers.engine import PromptTooLong
from workers.sandbox import CellResult, CellStatus
from workers.scripted_engine import ScriptedEngine

FORM = GenPrmForm(system=None, request="")
STEPS = ("2 + 2 = 4.\n\n", "4 + 1 = 6.\n\n", "So \\boxed{6}")


class Runs:
    """Executes cells here, in one namespace; for code of these tests only."""

    def __init__(self) -> None:
        self.cells: list[tuple[str, ...]] = []

    async def run(self, cells: Sequence[str]) -> CellResult:
        self.cells.append(tuple(cells))
        said, namespace = io.StringIO(), dict[str, Any]()
        try:
            for cell in cells:
                said = io.StringIO()
                with contextlib.redirect_stdout(said):
                    exec(cell, namespace)
        except Exception as error:
            return CellResult(output=f"{type(error).__name__}: {error}", status=CellStatus.ERROR)
        return CellResult(output=said.getvalue(), status=CellStatus.OK)


class Loops(Runs):
    """Every cell takes too long."""

    async def run(self, cells: Sequence[str]) -> CellResult:
        return CellResult(output="", status=CellStatus.TIMEOUT)


def section(number: int, code: str, output: str, judgement: str) -> str:
    return (
        f"### Paragraph {number}\n<analyze>\nLet us see.\n</analyze>\n<verify>\n"
        f"```python\n{code}\n```\n[Code Output]\n\n```\n{output}\n```\n</verify>\n"
        f"<output>\n**Judgement**: $\\boxed{{{judgement}}}$\n</output>"
    )


FIRST = section(1, "x = 2 + 2\nprint(x == 4)", "True", "Yes")
SECOND = section(2, "print(x + 1 == 6)", "False", "No")
WHOLE = f"{FIRST}\n\n{SECOND}\n\n**First error**: $\\boxed{{2}}$"
Reply = Callable[[Prompt, int], Completion | str | Exception]


def writes(*texts: str, form: Form = FORM) -> Reply:
    """A teacher that goes on in the first text that begins with what it is shown.

    A text that was begun and did not end well is not used again.
    """
    left = list(texts)

    def reply(prompt: Prompt, seed: int) -> Completion:
        text = next(t for t in left if t.startswith(prompt.prefix))
        rest = text[len(prompt.prefix) :]
        found = [(rest.index(stop), stop) for stop in form.stop if stop in rest]
        end, stop = min(found, default=(len(rest), None))
        if stop == form.section_end and len(left) > 1:
            left.remove(text)
        return Completion(
            text=rest[:end],
            num_tokens=10,
            finish_reason=FinishReason.STOP,
            stop_string=stop,
        )

    return reply


def critique(
    reply: Reply, *, form: Form = FORM, sandbox: Runs | None = None, **fields: Any
) -> tuple[ProblemGroup, ScriptedEngine]:
    engine = ScriptedEngine(reply)
    program = Critique(teaching=Teaching(form=form, **fields), seed=7)
    labelled = group(given(*STEPS))
    return run(program(labelled, Admission(engine), sandbox or Runs())), engine


def rationale(reply: Reply, **fields: Any) -> Rationale:
    found, _ = critique(reply, **fields)
    (only,) = found.solutions[0].rationales
    return only


def test_code_is_executed_where_it_ends_and_the_teacher_goes_on_from_its_output() -> None:
    sandbox = Runs()
    found = rationale(writes(WHOLE), sandbox=sandbox)
    assert found.text == WHOLE
    assert found.verdicts == (True, False)
    assert found.reason is None
    assert (found.num_code_blocks, found.num_code_failures) == (2, 0)
    assert (found.num_tokens, found.num_tokens_discarded) == (50, 0)
    one, two = "x = 2 + 2\nprint(x == 4)\n", "print(x + 1 == 6)\n"
    assert [tuple(c.strip("\n") for c in cells) for cells in sandbox.cells] == [
        (one.strip("\n"),),
        (one.strip("\n"), two.strip("\n")),
    ]


def test_every_request_has_a_seed_of_its_own_and_goes_on_from_all_that_was_written() -> None:
    _, engine = critique(writes(WHOLE))
    seeds = [seed for call in engine.calls for seed in call.seeds]
    assert len(set(seeds)) == len(seeds) == 5
    prefixes = [call.prompt.prefix for call in engine.calls]
    assert prefixes == sorted(prefixes, key=len)
    assert all(WHOLE.startswith(prefix) for prefix in prefixes)


def test_the_same_seed_writes_the_same_rationales() -> None:
    assert critique(writes(WHOLE))[0] == critique(writes(WHOLE))[0]


def test_a_section_that_contradicts_its_check_is_drawn_again() -> None:
    contradicting = WHOLE.replace("boxed{No}", "boxed{Yes}")
    found = rationale(writes(FIRST, contradicting, WHOLE))
    assert (found.num_contradictions, found.num_redrawn) == (1, 0)
    assert found.verdicts == (True, False)
    assert found.num_tokens_discarded == 20
    assert found.num_tokens == 50


def test_contradictions_without_end_are_a_reason() -> None:
    stubborn = WHOLE.replace("boxed{No}", "boxed{Yes}")
    found = rationale(writes(stubborn), max_redraws=2)
    assert (found.reason, found.verdicts) == (CONTRADICTION, ())
    assert found.num_contradictions == 3


def test_a_malformed_section_is_drawn_again_from_its_beginning() -> None:
    broken = FIRST.replace("**Judgement**: $\\boxed{Yes}$", "fine")
    found = rationale(writes(broken, WHOLE))
    assert found.text == WHOLE
    assert (found.num_redrawn, found.num_contradictions) == (1, 0)
    assert rationale(writes(broken), max_redraws=1).reason == MALFORMED


def test_code_that_loops_is_shown_as_a_timeout_and_counted() -> None:
    text = FIRST.replace("True\n", "TimeoutError: the code did not finish in time\n")
    found = rationale(writes(text.replace("Yes", "No")), sandbox=Loops(), max_redraws=0)
    assert "TimeoutError: the code did not finish in time" in found.text
    assert (found.num_code_blocks, found.num_code_failures) == (1, 1)
    assert found.verdicts == (False,)


def test_a_teacher_that_only_writes_code_is_stopped() -> None:
    def more(prompt: Prompt, seed: int) -> Completion:
        return Completion(
            text="```python\nprint(1)\n",
            num_tokens=9,
            finish_reason=FinishReason.STOP,
            stop_string="```\n",
        )

    found = rationale(more, max_redraws=1)
    assert found.reason == CODE_WITHOUT_END
    assert found.num_code_blocks == FORM.max_code_blocks


BAD: dict[str, tuple[Completion | str | Exception, str]] = {
    "nothing": ("", EMPTY),
    "only blanks": (" \n\t\n", EMPTY),
    "another language": ("这个解答是对的。", NO_JUDGEMENT),
    "a tag that never closes": ("### Paragraph 1\n<analyze>\nwell" * 3, None),
    "a megabyte of garbage": ("```\x00$\\boxed{" * 80_000, None),
    "the token limit": (
        Completion(text="<analyze> and", num_tokens=4096, finish_reason=FinishReason.LENGTH),
        CUT,
    ),
    "the end of the context": (
        Completion(text="<analyze> and", num_tokens=50, finish_reason=FinishReason.CONTEXT),
        CUT_BY_CONTEXT,
    ),
    "a prompt too long": (PromptTooLong("no room"), TOO_LONG_FOR_TEACHER),
}  # type: ignore[dict-item]


@pytest.mark.parametrize("form", [FORM, ThinkPrmForm(), JUDGE], ids=["genprm", "thinkprm", "judge"])
@pytest.mark.parametrize("name", BAD)
def test_whatever_a_teacher_writes_ends_as_a_counted_reason(name: str, form: Form) -> None:
    said, reason = BAD[name]
    found, engine = critique(lambda prompt, seed: said, form=form, max_redraws=2)
    (only,) = found.solutions[0].rationales
    assert found.status is Status.OK
    assert only.verdicts == ()
    assert only.reason is not None
    assert reason is None or only.reason == reason
    assert len(engine.calls) == (1 if reason == TOO_LONG_FOR_TEACHER else 3)


def test_a_form_without_sections_is_drawn_in_one_go() -> None:
    found = rationale(lambda prompt, seed: "The first error is \\boxed{1}", form=JUDGE)
    assert found.verdicts == (True, False)
    assert found.num_code_blocks == 0


def test_several_rationales_are_drawn_with_seeds_of_their_own() -> None:
    found, engine = critique(lambda prompt, seed: "\\boxed{-1}", form=JUDGE, num_rationales=3)
    assert [r.verdicts for r in found.solutions[0].rationales] == [(True, True, True)] * 3
    assert len({call.seeds for call in engine.calls}) == 3
    assert found.num_teacher_tokens == 3


def test_the_limit_is_for_the_whole_text() -> None:
    limited = Sampling(temperature=0.6, max_tokens=35)
    found, engine = critique(writes(WHOLE), sampling=limited, max_redraws=0)
    assert [call.sampling.max_tokens for call in engine.calls] == [35, 25, 15, 5]
    assert found.solutions[0].rationales[0].reason == CUT


def test_a_dropped_group_is_left_alone() -> None:
    engine = ScriptedEngine(lambda prompt, seed: "never asked")
    dropped = replace(group(given("a")), status=Status.DROPPED, reason="no luck")
    program = Critique(teaching=Teaching(), seed=7)
    assert run(program(dropped, Admission(engine), Runs())) == dropped
    assert engine.calls == []


def test_an_opening_is_part_of_the_first_section() -> None:
    opening = "### Paragraph 1\n<analyze>\n"
    form = replace(FORM, opening=opening)
    assert rationale(writes(WHOLE), form=form).verdicts == (True, False)


def test_code_in_thoughts_is_neither_executed_nor_held_against_the_teacher() -> None:
    thoughts = "Hm. ```python\nprint(1)\n```\nSay <output></output>?\n</think>\n\n"
    sandbox = Runs()

    def reply(prompt: Prompt, seed: int) -> Completion | str | Exception:
        if prompt.prefix:
            return writes(thoughts + WHOLE)(prompt, seed)
        return Completion(
            text=thoughts.partition("</think>")[0],
            num_tokens=7,
            finish_reason=FinishReason.STOP,
            stop_string="</think>",
        )

    found, engine = critique(reply, sandbox=sandbox, thinks=True)
    assert engine.calls[0].sampling.stop == ("</think>",)
    (only,) = found.solutions[0].rationales
    assert (only.verdicts, only.reason) == ((True, False), None)
    assert (only.num_tokens, only.num_code_blocks, len(sandbox.cells)) == (57, 2, 2)


def test_a_prompt_that_leaves_no_room_for_thoughts_is_a_counted_reason() -> None:
    found = rationale(lambda prompt, seed: PromptTooLong("no room"), thinks=True)
    assert found.reason == TOO_LONG_FOR_TEACHER


class LoopsOnce(Runs):
    """The first cell takes too long, whenever it is run."""

    async def run(self, cells: Sequence[str]) -> CellResult:
        assert not any("while" in cell for cell in cells[:-1]), "a stopped block is not replayed"
        if "while" in cells[-1]:
            return CellResult(output="", status=CellStatus.TIMEOUT)
        return await super().run(cells)


def test_a_block_that_was_stopped_does_not_stop_those_behind_it() -> None:
    looping = section(1, "while True: pass", "TimeoutError: the code did not finish in time", "Yes")
    second = section(2, "print(4 + 1 == 6)", "False", "No")
    found = rationale(writes(f"{looping}\n\n{second}\n\nDone."), sandbox=LoopsOnce())
    assert found.verdicts == (True, False)
    assert (found.num_code_blocks, found.num_code_failures) == (2, 1)


def test_output_that_the_teacher_made_up_is_no_rationale() -> None:
    """Fences and tags that the stop strings miss: nothing was executed."""
    made_up = WHOLE.replace("```\n[Code", "``` \n[Code").replace("</output>", "</Output>")
    sandbox = Runs()
    found = rationale(writes(made_up), sandbox=sandbox, max_redraws=0)
    assert found.verdicts == ()
    assert found.reason is not None


def test_a_budget_that_is_used_up_is_not_drawn_again() -> None:
    limited = Sampling(temperature=0.6, max_tokens=20)
    found = rationale(writes(WHOLE), sampling=limited)
    assert (found.reason, found.num_redrawn, found.num_tokens) == (CUT, 0, 20)
