"""Sampling counts every attempt and keeps the distinct solutions that the recipe selects."""

import pytest

from factory.core.prompts import STEP_BY_STEP
from factory.core.selection import NO_CORRECT, NO_SOLUTION, Selection
from factory.programs.sample import QUESTION_TOO_LONG
from schemas.generation import FinishReason, Message, Prompt, Sampling
from schemas.records import Status, Verdict
from tests.programs.scenes import PROBLEM, by_seed, cut, group, sample, say
from workers.engine import EngineDead, PromptTooLong
from workers.scripted_engine import ScriptedEngine


def test_equal_samples_become_one_solution() -> None:
    found = sample(ScriptedEngine(by_seed), num_solutions=100)
    assert found.sampled is not None
    assert found.sampled.num_rollouts + found.sampled.num_ungraded == 100
    assert {s.answer for s in found.solutions} == {"4", "5", "hard", None}
    assert sum(s.num_samples for s in found.solutions) == 100
    right = next(s for s in found.solutions if s.verdict is Verdict.CORRECT)
    assert right.num_samples == found.sampled.num_correct
    assert right.steps == ("\\boxed{4}",)


def test_the_engine_is_asked_once_with_a_seed_per_solution() -> None:
    engine = ScriptedEngine(by_seed)
    sample(engine, num_solutions=16, sampling=Sampling(temperature=0.3))
    (call,) = engine.calls
    assert len(set(call.seeds)) == 16
    assert call.sampling == Sampling(temperature=0.3)
    system = Message(role="system", content=STEP_BY_STEP)
    assert call.prompt == Prompt(messages=(system, Message(role="user", content="What is 2 + 2?")))


def test_other_problems_have_other_seeds() -> None:
    engine = ScriptedEngine(say("\\boxed{4}"))
    sample(engine)
    sample(engine, group=group().__class__(problem_id="q", question="?", answer="4"))
    assert not set(engine.calls[0].seeds) & set(engine.calls[1].seeds)


def test_a_problem_that_nobody_solves_is_dropped_and_its_attempts_are_kept() -> None:
    found = sample(ScriptedEngine(say("#### 5")), num_solutions=4)
    assert (found.status, found.reason) == (Status.DROPPED, NO_CORRECT)
    assert found.sampled is not None
    assert (found.sampled.num_rollouts, found.sampled.num_correct) == (4, 0)
    assert found.solutions == ()


def test_blank_attempts_count_and_are_no_solutions() -> None:
    found = sample(ScriptedEngine(say(" \n")), num_solutions=4)
    assert (found.reason, found.sampled and found.sampled.num_rollouts) == (NO_SOLUTION, 4)


def test_truncated_attempts_count_and_are_not_kept() -> None:
    engine = ScriptedEngine(lambda prompt, seed: cut("\\boxed{4} x") if seed % 2 else "\\boxed{4}")
    found = sample(engine, num_solutions=20)
    assert found.sampled is not None
    assert 0 < found.sampled.num_truncated < 20
    assert [s.text for s in found.solutions] == ["\\boxed{4}"]
    assert sample(ScriptedEngine(lambda p, s: cut("\\boxed{4}"))).reason == NO_SOLUTION


def test_attempts_that_the_context_cut_are_neither_right_nor_wrong() -> None:
    engine = ScriptedEngine(lambda prompt, seed: cut("and so on", at=FinishReason.CONTEXT))
    found = sample(engine, num_solutions=4)
    assert (found.status, found.reason) == (Status.DROPPED, NO_SOLUTION)
    assert found.sampled is not None
    assert (found.sampled.num_rollouts, found.sampled.num_ungraded) == (0, 4)
    assert found.sampled.num_truncated == 4


def test_a_sampled_solution_that_states_no_answer_is_wrong() -> None:
    selection = Selection(min_correct=0)
    (solution,) = sample(ScriptedEngine(say("I give up.")), selection=selection).solutions
    assert solution.verdict is Verdict.NO_ANSWER


def test_a_question_too_long_is_dropped() -> None:
    found = sample(ScriptedEngine(lambda prompt, seed: PromptTooLong("9 tokens too many")))
    assert (found.status, found.reason) == (Status.DROPPED, QUESTION_TOO_LONG)


def test_the_recipe_selects() -> None:
    selection = Selection(min_correct=0, max_solutions=2)
    found = sample(ScriptedEngine(by_seed), num_solutions=100, selection=selection)
    assert found.solutions[0].verdict is Verdict.CORRECT
    assert len(found.solutions) == 2


def test_a_dropped_problem_is_passed_on() -> None:
    dropped = group(status=Status.DROPPED, reason="no")
    engine = ScriptedEngine(by_seed)
    assert sample(engine, dropped) is dropped
    assert engine.calls == []


def test_a_dead_engine_is_not_a_dropped_problem() -> None:
    with pytest.raises(EngineDead):
        sample(ScriptedEngine(lambda prompt, seed: EngineDead("gone")), PROBLEM)
