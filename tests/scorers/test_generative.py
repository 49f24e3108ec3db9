"""Generative scorers on a scripted engine: read at the judgements, averaged, reasons counted."""

from collections.abc import Sequence
from math import isnan, log

import pytest

from factory.scorers import SolutionText
from factory.scorers.forms import ChainForm, ConversationForm, CritiqueForm
from factory.scorers.generative import GenerativeScorer
from factory.scorers.opening import verify_by
from factory.scorers.verification import Verification, averaged, p_good
from factory.training.prm_file import PrmFile
from schemas.generation import Completion, FinishReason, Prompt, Sampling
from workers.engine import EngineDead
from workers.sandbox import CellResult, CellStatus
from workers.scripted_engine import ScriptedEngine

SAMPLING = Sampling(temperature=0.6, max_tokens=200)
SOLUTION = SolutionText(problem="What is 2 + 2?", steps=("2 + 2 = 4.", "4 - 1 = 2.", "So 2."))
YES = "<analyze>\nFine.\n</analyze>\n<output>\n**Judgement**: $\\boxed{Yes}$\n"
NO = YES.replace("Yes", "No")
CODE = "<analyze>\nLet me see.\n</analyze>\n<verify>\n```python\nprint(4 - 1 == 2)\n"
AFTER_CODE = "</verify>\n<output>\n**Judgement**: $\\boxed{No}$\n"


class Recorded:
    """A sandbox that prints False and remembers what it was given."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, ...]] = []

    async def run(self, cells: Sequence[str]) -> CellResult:
        self.runs.append(tuple(cells))
        return CellResult(output="False\n", status=CellStatus.OK)


def paused(text: str, stop: str | None) -> Completion:
    return Completion(text=text, num_tokens=9, finish_reason=FinishReason.STOP, stop_string=stop)


def weigh(prompt: Prompt, options: Sequence[str]) -> list[float]:
    """Yes is believed as the last step shown has it: 0.9, then 0.2."""
    assert tuple(options) == ("Yes", "No")
    assert prompt.prefix.endswith("\\boxed{")
    first = "4 - 1" not in prompt.messages[-1].content
    p = 0.9 if first else 0.2
    return [log(p / 2), log((1 - p) / 2)]


def in_conversation(prompt: Prompt, seed: int) -> Completion:
    last = prompt.messages[-1].content
    if "4 - 1" not in last:
        return paused(YES, "</output>")
    if not prompt.prefix:
        return paused(CODE, "```\n")
    assert prompt.prefix.endswith("```\n[Code Output]\n\n```\nFalse\n```\n")
    return paused(AFTER_CODE, "</output>")


def test_a_conversation_is_read_at_each_turn_s_judgement_and_ends_with_the_first_no() -> None:
    engine, sandbox = ScriptedEngine(in_conversation, weigh=weigh), Recorded()
    scorer = GenerativeScorer(engine, sandbox, ConversationForm(sampling=SAMPLING))
    assert scorer.score(SOLUTION.problem, SOLUTION.steps) == pytest.approx([0.9, 0.2, 0.2])
    assert sandbox.runs == [("print(4 - 1 == 2)\n",)]
    turns = engine.calls[-1].prompt.messages
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user"]
    assert turns[1].content == "Question: What is 2 + 2?\n\n2 + 2 = 4."
    assert turns[2].content.endswith("</output>")
    assert not scorer.unscored
    scorer.close()


def test_what_a_turn_makes_up_is_not_executed() -> None:
    own = CODE + "```\n[Code Output]\n\n```\nTrue\n```\n```python\nprint(1)\n"
    scorer = GenerativeScorer(
        ScriptedEngine(lambda _p, _s: paused(own, "```\n"), weigh=weigh),
        Recorded(),
        ConversationForm(sampling=SAMPLING),
    )
    assert all(map(isnan, scorer.score(SOLUTION.problem, SOLUTION.steps)))
    assert scorer.unscored == {"wrote its own code output": 1}


def test_readable_verifications_are_averaged_and_the_others_counted() -> None:
    def reply(prompt: Prompt, seed: int) -> Completion:
        return paused("No idea.", None) if seed % 2 else in_conversation(prompt, seed)

    scorer = GenerativeScorer(
        ScriptedEngine(reply, weigh=weigh),
        Recorded(),
        ConversationForm(sampling=SAMPLING),
        num_samples=16,
    )
    found = scorer.score(SOLUTION.problem, SOLUTION.steps)
    # All 16 fail by chance with p < 1e-4: each needs two even seeds of two or three
    assert found == pytest.approx([0.9, 0.2, 0.2])
    assert 0 < sum(scorer.unscored.values()) < 16
    assert scorer.describe()["num_samples"] == 16


def test_a_critique_in_one_text_is_read_at_its_sections() -> None:
    heading = "### Paragraph {}\n"

    def reply(prompt: Prompt, seed: int) -> Completion:
        done = prompt.prefix.count("</output>")
        if done == 2:
            return paused("\n\n**First error**: $\\boxed{2}$", None)
        return paused(("\n\n" if done else "") + heading.format(done + 1) + (YES, NO)[done],
                      "</output>")  # fmt: skip

    def weigh_text(prompt: Prompt, options: Sequence[str]) -> list[float]:
        p = (0.8, 0.3)[prompt.prefix.count("### Paragraph") - 1]
        return [log(p), log(1 - p)]

    scorer = GenerativeScorer(
        ScriptedEngine(reply, weigh=weigh_text), Recorded(), CritiqueForm(sampling=SAMPLING)
    )
    assert scorer.score(SOLUTION.problem, SOLUTION.steps) == pytest.approx([0.8, 0.3, 0.3])


CHAIN = (
    "<think>\nStep 1: Right. The step is \\boxed{correct}\n"
    "Step 2: No. The step is \\boxed{incorrect}\n"
)


@pytest.mark.parametrize(("num_steps", "expected"), [(3, [0.7, 0.4, 0.1]), (2, [0.7, 0.1])])
def test_a_chain_has_the_question_s_answer_as_its_last_score(
    num_steps: int, expected: list[float]
) -> None:
    asked: list[str] = []

    def weigh_chain(prompt: Prompt, options: Sequence[str]) -> list[float]:
        asked.append(prompt.prefix)
        if options[0] == " Yes":
            return [log(0.1), log(0.9)]
        p = 0.4 if "incorrect" in options and "Step 2" in prompt.prefix else 0.7
        return [log(p), log(1 - p)]

    scorer = GenerativeScorer(
        ScriptedEngine(lambda _p, _s: paused(CHAIN, "</think>"), weigh=weigh_chain),
        Recorded(),
        ChainForm(sampling=SAMPLING),
    )
    found = scorer.score(SOLUTION.problem, SOLUTION.steps[:num_steps])
    assert found == pytest.approx(expected)
    assert asked[0].endswith("The step is \\boxed{")
    assert asked[-1].startswith("<think>\nStep 1")
    assert asked[-1].endswith("\\boxed{incorrect}\n</think>\nIs the solution correct?")


@pytest.mark.parametrize(
    ("form", "written", "options"),
    [
        ("thinkprm", "correct", ("correct", "incorrect")),
        ("thinkprm", "Correct", ("Correct", "Incorrect")),
        ("thinkprm", "INCORRECT", ("CORRECT", "INCORRECT")),
        ("genprm", "YES", ("YES", "NO")),
        ("genprm", "No", ("Yes", "No")),
        ("genprm", "no", ("yes", "no")),
    ],
)
def test_a_judgement_is_weighed_against_the_other_word_in_its_own_case(
    form: str, written: str, options: tuple[str, str]
) -> None:
    weighed: list[tuple[str, ...]] = []

    def reply(prompt: Prompt, seed: int) -> Completion:
        judged = f"\\boxed{{{written}}}"
        if form == "thinkprm":
            return paused(f"<think>\nStep 1: The step is {judged}\n", "</think>")
        return paused(YES.replace("\\boxed{Yes}", judged), "</output>")

    def weigh_word(prompt: Prompt, options: Sequence[str]) -> list[float]:
        weighed.append(tuple(options))
        return [log(0.5), log(0.5)]

    scorer = GenerativeScorer(
        ScriptedEngine(reply, weigh=weigh_word),
        Recorded(),
        ChainForm(sampling=SAMPLING) if form == "thinkprm" else ConversationForm(sampling=SAMPLING),
    )
    scorer.score(SOLUTION.problem, SOLUTION.steps[:1])
    assert weighed[0] == options


def test_a_foreign_model_is_asked_as_the_published_ones_are() -> None:
    """The data card of GenPRM, and the model card of ThinkPRM with its opening words."""
    genprm = verify_by("genprm", None, SAMPLING, None)
    assert genprm.system == (
        "You are a math teacher. Your task is to review and critique the paragraphs in solution "
        "step by step."
    )
    asked: list[str] = []

    def weigh_chain(prompt: Prompt, options: Sequence[str]) -> list[float]:
        asked.append(prompt.prefix)
        return [log(0.7), log(0.3)]

    engine = ScriptedEngine(
        lambda _p, _s: paused(CHAIN.removeprefix("<think>"), "</think>"), weigh=weigh_chain
    )
    scorer = GenerativeScorer(engine, Recorded(), verify_by("thinkprm", None, SAMPLING, None))
    scorer.score(SOLUTION.problem, SOLUTION.steps)
    [turn] = engine.calls[0].prompt.messages
    assert turn.content == (
        "You are given a math problem and a proposed step-by-step solution:\n\n[Math Problem]\n\n"
        "What is 2 + 2?\n\n[Solution]\n\nStep 1: 2 + 2 = 4.\nStep 2: 4 - 1 = 2.\nStep 3: So 2."
        "\n\nReview and critique each step in the proposed solution to determine whether each step "
        "is correct. If the solution is incomplete, only verify the provided steps."
    )
    assert engine.calls[0].prompt.prefix == "\nLet's verify step by step:"
    assert all(text.startswith("\nLet's verify step by step:\nStep 1: Right.") for text in asked)
    assert asked[-1].endswith("\\boxed{incorrect}\n</think>\nIs the solution correct?")


def test_a_given_system_text_comes_before_that_of_prm_json() -> None:
    for form in ("genprm", "thinkprm"):
        prm = PrmFile(kind="generative", form=form, system="Mine.")

        def system(given: str | None, form: str = form, prm: PrmFile | None = prm) -> str | None:
            verify = verify_by(form, prm, SAMPLING, given)
            found: str | None = verify.system if form == "genprm" else verify.form.system
            return found

        assert system(None) == "Mine."
        assert system("Other.") == "Other."
        assert system("") is None
    ours = verify_by("thinkprm", PrmFile(kind="generative", form="thinkprm"), SAMPLING, None)
    assert not ours.form.prompt("Q", ["s"]).prefix
    assert verify_by("critique", None, SAMPLING, "Other.").form.system == "Other."


def test_a_dead_engine_is_one_error_and_no_score() -> None:
    scorer = GenerativeScorer(
        ScriptedEngine(lambda _p, _s: EngineDead("out of memory")),
        Recorded(),
        ChainForm(sampling=SAMPLING),
        num_samples=2,
    )
    with pytest.raises(EngineDead, match="out of memory"):
        scorer.score_all([SOLUTION, SOLUTION])


def test_a_cut_chain_says_nothing() -> None:
    cut = Completion(text=CHAIN, num_tokens=200, finish_reason=FinishReason.LENGTH)
    scorer = GenerativeScorer(
        ScriptedEngine(lambda _p, _s: cut), Recorded(), ChainForm(sampling=SAMPLING)
    )
    assert all(map(isnan, scorer.score(SOLUTION.problem, SOLUTION.steps)))
    assert scorer.unscored == {"cut at the token limit": 1}


def test_p_good_is_the_share_of_yes() -> None:
    assert p_good(log(0.3), log(0.1)) == pytest.approx(0.75)
    assert p_good(-1e4, 0.0) == 0.0
    assert p_good(0.0, -1e4) == 1.0
    assert p_good(float("-inf"), float("-inf")) == 0.5


def test_a_verification_that_ended_early_goes_on_with_its_last_score() -> None:
    both = [Verification(scores=(0.9, 0.2)), Verification(scores=(0.7, 0.8, 0.6))]
    assert averaged(both, 3) == pytest.approx([0.8, 0.5, 0.4])
    assert all(map(isnan, averaged([Verification(reason="empty")], 2)))
    with pytest.raises(ValueError, match="0 scores"):
        Verification()
