"""Estimating spends what the planner asks for, shares what siblings share, and always ends."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given as given_random
from hypothesis import settings
from hypothesis import strategies as st

from factory.core.bisection import BisectHard
from factory.core.chain import chain_of, root_evidence
from factory.core.chain_planner import ByValue
from factory.core.counting import Rollout, count_rollouts
from factory.core.curtailment import CurtailedFixedK
from factory.core.labelers import HardEstimation, RelativeProgress
from factory.core.planners import FixedK, KByDifficulty, Planner, UntilFirstSuccess
from factory.core.prompts import SolvePrompt
from factory.core.publishing import Provenance, publish_group
from factory.core.selection import Selection
from factory.programs.estimate import Estimate
from factory.recipes import load_recipe
from schemas.generation import FinishReason, Prompt
from schemas.records import Evidence, ProblemGroup, Status, StopReason, Verdict
from tests.programs.scenes import (
    EqualTexts,
    HeldEngine,
    LateEngine,
    by_seed,
    cut,
    estimate,
    given,
    group,
    recipe,
    say,
)
from workers.admission import Admission
from workers.engine import EngineDead, PromptTooLong
from workers.scripted_engine import ScriptedEngine

BANDS = KByDifficulty(num_rollouts_hard=9, num_rollouts_medium=6, num_rollouts_easy=3, num_root=10)
PLANNERS: list[Planner] = [
    FixedK(num_rollouts=8),
    BANDS,
    UntilFirstSuccess(max_rollouts=8, batch=3),
]
PROVENANCE = Provenance(
    recipe="r", digest="d", generator="g", completer="c", sampling="{}", completing="{}", seed=7
)
SIBLINGS = (
    given("A\n", "b\n", "c"),
    given("A\n", "b\n", "d", answer="5"),
    given("A\n", "e", answer="hard"),
    given("A\n", "b\n"),
    given("A\n"),
    given("f"),
)


def issued(evidence: Evidence | None) -> int:
    return evidence.num_rollouts + evidence.num_ungraded if evidence else 0


def sampled(num_correct: int, num_wrong: int) -> Evidence:
    right = Rollout(answer="4", verdict=Verdict.CORRECT, num_tokens=1, is_truncated=False)
    wrong = Rollout(answer="5", verdict=Verdict.WRONG, num_tokens=1, is_truncated=False)
    rollouts = [right] * num_correct + [wrong] * num_wrong
    return count_rollouts(
        rollouts, num_first=len(rollouts), num_rounds=1, stop_reason=StopReason.FIXED
    )


def test_fixed_k_counts_k_at_every_open_prefix() -> None:
    engine = ScriptedEngine(by_seed)
    found = estimate(group(given("a\n", "b\n", "c")), engine)
    (solution,) = found.solutions
    assert [issued(e) for e in solution.evidence] == [8, 8, 0]
    assert [e.stop_reason for e in solution.evidence] == [
        StopReason.FIXED,
        StopReason.FIXED,
        StopReason.KNOWN_OUTCOME,
    ]
    assert issued(found.root) == 8
    assert sorted(call.prompt.prefix for call in engine.calls) == ["", "a\n", "a\nb\n"]
    assert found.num_rollout_tokens == engine.stats().num_generated_tokens


def test_given_solutions_are_graded_first() -> None:
    graded = estimate(group(*SIBLINGS), ScriptedEngine(by_seed)).solutions
    verdicts = {s.text: s.verdict for s in graded}
    assert verdicts["A\nb\nc"] is Verdict.CORRECT
    assert verdicts["A\nb\nd"] is Verdict.WRONG
    assert verdicts["A\ne"] is Verdict.TIMEOUT


def test_given_solutions_are_cut_to_the_maximum_and_sampled_ones_stay() -> None:
    wrong = replace(given("w"), verdict=Verdict.WRONG)
    mixed = group(given("a"), wrong, given("b"))
    found = estimate(mixed, ScriptedEngine(by_seed), selection=Selection(max_solutions=2))
    assert [s.text for s in found.solutions] == ["a", "w"]


def test_an_undecided_solution_is_estimated_at_its_last_step_too() -> None:
    (solution,) = estimate(
        group(given("a\n", "b", answer="hard")), ScriptedEngine(by_seed)
    ).solutions
    assert [issued(e) for e in solution.evidence] == [8, 8]


def test_a_given_solution_without_an_answer_is_not_a_wrong_one() -> None:
    """Once its ending counted as wrong, so that its last step was bad whatever was found there."""
    total = group(given("2 and 2.\n", "So the total is 4.", answer=None))
    found = estimate(total, ScriptedEngine(say("\\boxed{4}")))
    (solution,) = found.solutions
    assert solution.verdict is Verdict.UNGRADED
    assert [e.num_correct for e in solution.evidence] == [8, 8]
    (row,) = publish_group(found, HardEstimation(), PROVENANCE).solutions
    assert (row.labels, row.is_correct) == ((True, True), None)
    assert estimate(found, ScriptedEngine(say("\\boxed{4}"))) == found


def test_a_root_that_was_sampled_is_not_bought() -> None:
    known = group(given("a\n", "b"), sampled=sampled(1, 1))
    assert estimate(known, ScriptedEngine(by_seed)).root is None


def test_a_missing_root_is_bought_and_decides_the_number() -> None:
    always, never = ScriptedEngine(say("\\boxed{4}")), ScriptedEngine(say("\\boxed{5}"))
    for engine, k in [(always, 3), (never, 9)]:
        found = estimate(group(given("a\n", "b")), engine, planner=BANDS)
        assert issued(found.root) == 10
        assert issued(found.solutions[0].evidence[0]) == k


@pytest.mark.parametrize(
    ("num_correct", "num_wrong", "k"), [(0, 10, 9), (1, 9, 6), (9, 1, 3), (10, 0, 3)]
)
def test_the_generators_pass_rate_decides_the_number(
    num_correct: int, num_wrong: int, k: int
) -> None:
    known = group(given("a\n", "b"), sampled=sampled(num_correct, num_wrong))
    found = estimate(known, ScriptedEngine(by_seed), planner=BANDS)
    assert issued(found.solutions[0].evidence[0]) == k


def test_until_first_success_keeps_its_first_batch_apart() -> None:
    def fourth_is_right(prompt: Prompt, seed: int) -> str:
        asked.append(seed)
        return "\\boxed{4}" if len(asked) == 4 else "\\boxed{5}"

    asked: list[int] = []
    planner = UntilFirstSuccess(max_rollouts=8, batch=3)
    found = estimate(group(given("a\n", "b")), ScriptedEngine(fourth_is_right), planner=planner)
    evidence = found.solutions[0].evidence[0]
    assert (evidence.num_rollouts, evidence.num_correct, evidence.num_rounds) == (6, 1, 2)
    assert (evidence.num_first, evidence.num_first_correct) == (3, 0)
    assert evidence.stop_reason is StopReason.FIRST_SUCCESS


@pytest.mark.parametrize("planner", PLANNERS)
def test_siblings_share_rollouts_and_count_as_if_alone(planner: Planner) -> None:
    engine = ScriptedEngine(by_seed)
    together = estimate(group(*SIBLINGS), engine, planner=planner)
    for solution in together.solutions:
        unread = replace(solution, verdict=Verdict.UNGRADED, evidence=())
        alone = estimate(group(unread), ScriptedEngine(by_seed), planner=planner)
        assert alone.solutions == (solution,)
    asked = Counter(seed for call in engine.calls for seed in call.seeds)
    assert set(asked.values()) == {1}
    assert together.num_rollout_tokens == engine.stats().num_generated_tokens


@pytest.mark.parametrize("planner", PLANNERS)
def test_the_order_of_completion_changes_nothing(planner: Planner) -> None:
    expected = estimate(group(*SIBLINGS), ScriptedEngine(by_seed), planner=planner)
    for lateness in range(5):
        late = LateEngine(by_seed)
        late.lateness = lateness
        assert estimate(group(*SIBLINGS), late, window=4, planner=planner) == expected


STEPS = st.lists(st.sampled_from(["a\n", "b\n"]), min_size=1, max_size=4)


@settings(max_examples=40)
@given_random(st.lists(STEPS, min_size=1, max_size=5), st.sampled_from(PLANNERS), st.integers(1, 9))
def test_any_group_ends_with_evidence_at_every_step(
    texts: list[list[str]], planner: Planner, window: int
) -> None:
    solutions = [given(*steps, answer=str(len(steps))) for steps in texts]
    found = estimate(group(*solutions), ScriptedEngine(by_seed), planner=planner, window=window)
    for solution in found.solutions:
        assert len(solution.evidence) == len(solution.steps)
        chain = chain_of(found, solution)
        assert planner.plan(chain) == {}
        assert HardEstimation()(chain)


def too_long_from(num_lines: int) -> ScriptedEngine:
    def reply(prompt: Prompt, seed: int) -> str | Exception:
        is_long = prompt.prefix.count("\n") >= num_lines
        return PromptTooLong("too long") if is_long else "\\boxed{4}"

    return ScriptedEngine(reply)


@pytest.mark.parametrize("planner", PLANNERS)
def test_a_prefix_too_long_has_no_evidence_and_no_label(planner: Planner) -> None:
    found = estimate(
        group(given("a\n", "b\n", "c\n", "d"), given("a\n", "b\n")),
        too_long_from(2),
        planner=planner,
    )
    long, short = found.solutions
    assert [e.stop_reason for e in long.evidence[1:]] == [
        StopReason.PROMPT_TOO_LONG,
        StopReason.PROMPT_TOO_LONG,
        StopReason.KNOWN_OUTCOME,
    ]
    assert issued(long.evidence[0]) > 0 == issued(long.evidence[1])
    labels = [step.label for step in HardEstimation()(chain_of(found, long))]
    assert labels == [True, None, None, True]
    assert short.evidence[1].stop_reason is StopReason.KNOWN_OUTCOME


@pytest.mark.parametrize("planner", PLANNERS)
def test_a_question_too_long_ends_too(planner: Planner) -> None:
    found = estimate(group(given("a\n", "b\n", "c")), too_long_from(0), planner=planner)
    assert found.root is None
    assert [e.stop_reason for e in found.solutions[0].evidence] == [
        StopReason.PROMPT_TOO_LONG,
        StopReason.PROMPT_TOO_LONG,
        StopReason.KNOWN_OUTCOME,
    ]


@pytest.mark.parametrize("planner", PLANNERS)
def test_nothing_can_be_graded_and_it_ends(planner: Planner) -> None:
    lost = group(given("a\n", "b\n", "c", answer="hard"))
    found = estimate(lost, ScriptedEngine(say("\\boxed{hard}")), planner=planner)
    (solution,) = found.solutions
    assert [e.num_rollouts for e in solution.evidence] == [0, 0, 0]
    assert all(e.num_ungraded > 0 for e in solution.evidence)
    for labeler in (HardEstimation(), RelativeProgress()):
        assert [step.label for step in labeler(chain_of(found, solution))] == [None] * 3


@pytest.mark.parametrize(
    "planner", [*PLANNERS, ByValue(), BisectHard(), CurtailedFixedK(num_rollouts=8)]
)
def test_rollouts_that_the_context_cut_are_lost_and_not_wrong(planner: Planner) -> None:
    """Once they were wrong, and late prefixes looked worse the smaller the context."""
    engine = ScriptedEngine(lambda prompt, seed: cut("and so on", at=FinishReason.CONTEXT))
    wrong = given("a\n", "b\n", "c", answer="5")
    (solution,) = estimate(group(wrong), engine, planner=planner).solutions
    for evidence in solution.evidence[:-1]:
        assert (evidence.num_rollouts, evidence.num_correct) == (0, 0)
        assert evidence.num_ungraded == evidence.num_truncated > 0
        assert {answer.verdict for answer in evidence.answers} == {Verdict.CUT}


def test_a_rollout_that_answered_before_the_context_cut_it_counts() -> None:
    engine = ScriptedEngine(lambda prompt, seed: cut("\\boxed{5} so", at=FinishReason.CONTEXT))
    (solution,) = estimate(group(given("a\n", "b")), engine).solutions
    assert (solution.evidence[0].num_rollouts, solution.evidence[0].num_truncated) == (8, 8)


def test_a_rollout_cut_at_max_tokens_is_wrong() -> None:
    engine = ScriptedEngine(lambda prompt, seed: cut("and so on"))
    (solution,) = estimate(group(given("a\n", "b")), engine).solutions
    assert (solution.evidence[0].num_rollouts, solution.evidence[0].num_correct) == (8, 0)


@pytest.mark.parametrize("at", [FinishReason.LENGTH, FinishReason.CONTEXT])
def test_the_answer_of_its_prefix_does_not_make_a_cut_rollout_right(at: FinishReason) -> None:
    engine = ScriptedEngine(lambda prompt, seed: cut("wait, is it", at=at))
    (solution,) = estimate(group(given("so \\boxed{4}\n", "b")), engine).solutions
    assert solution.evidence[0].num_correct == 0


GENPRM = {"planner": KByDifficulty(num_root=10), "needs_completer_root": True}


def test_genprm_buys_the_completers_own_root_where_another_model_sampled() -> None:
    """Once the first step's progress was the completer's score over the generator's."""
    assert load_recipe("genprm").needs_completer_root
    known = group(given("a\n", "b"), sampled=sampled(5, 5))
    engine = ScriptedEngine(say("\\boxed{4}"))
    found = estimate(known, engine, **GENPRM)
    assert engine.calls[0].prompt.prefix == ""
    assert found.root is not None
    assert (found.root.num_rollouts, found.root.num_correct) == (10, 10)
    assert root_evidence(found) is found.root
    assert issued(found.solutions[0].evidence[0]) == 32, "by the completer's pass rate of 1"
    (row,) = publish_group(found, RelativeProgress(), PROVENANCE).solutions
    assert (row.root_num_rollouts, row.progress[0]) == (10, 1.0)


def test_genprm_takes_the_samples_for_the_root_where_one_model_does_both() -> None:
    known = group(given("a\n", "b"), sampled=sampled(5, 5))
    found = estimate(known, ScriptedEngine(say("\\boxed{4}")), is_on_policy=True, **GENPRM)
    assert found.root is None
    assert issued(found.solutions[0].evidence[0]) == 64, "by the samples' pass rate of a half"
    (row,) = publish_group(found, RelativeProgress(), PROVENANCE).solutions
    assert (row.root_num_rollouts, row.progress[0]) == (10, 2.0)


def test_a_rollout_answers_with_the_prefix_before_it() -> None:
    found = estimate(group(given("so \\boxed{", "4}")), ScriptedEngine(say("4}")))
    assert found.solutions[0].evidence[0].num_correct == 8


def test_a_dropped_problem_is_passed_on() -> None:
    dropped = ProblemGroup(
        problem_id="p", question="", answer="", status=Status.DROPPED, reason="no"
    )
    assert estimate(dropped, ScriptedEngine(by_seed)) is dropped


def test_the_death_of_an_engine_can_be_seen_from_outside() -> None:
    with pytest.raises(ExceptionGroup) as died:
        estimate(group(*SIBLINGS), ScriptedEngine(lambda prompt, seed: EngineDead("gone")))
    assert died.value.subgroup(EngineDead) is not None


def test_siblings_that_wait_for_one_another_hold_up_no_other_group() -> None:
    """Both siblings ask for one prefix only, the same: the second one has nothing of its own."""

    async def main() -> None:
        engine = HeldEngine()
        door = Admission(engine)
        program = Estimate(recipe=recipe(), prompt=SolvePrompt(), seed=7)
        known = {"sampled": sampled(1, 1)}
        siblings = group(given("a\n", "b"), given("a\n", "c"), **known)
        other = group(given("d\n", "e"), **known)
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            for waiting in (siblings, other):
                tasks.create_task(program(waiting, door, EqualTexts()))
            while engine.prefixes != ["a\n", "d\n"]:
                await asyncio.sleep(0)
            engine.go_on.set()

    asyncio.run(main())
