"""The scripted engine keeps the engine protocol."""

import asyncio
import pickle

import pytest

from schemas.generation import Completion, FinishReason, Message, Prompt, Sampling
from workers.engine import Engine, EngineDead, EngineLoad, EngineStats, PromptTooLong
from workers.scripted_engine import RecordedCall, ScriptedEngine

PROMPT = Prompt(messages=(Message(role="user", content="What is 2 + 2?"),), prefix="So 2 +")
CUT = Completion(text="and so on and", num_tokens=99, finish_reason=FinishReason.LENGTH)


def say_seed(prompt: Prompt, seed: int) -> str:
    return f"seed {seed}"


def complete(engine: Engine, *seeds: int) -> tuple[Completion, ...]:
    return asyncio.run(engine.complete(PROMPT, Sampling(), seeds))


def test_completions_come_in_the_order_of_the_seeds() -> None:
    texts = [completion.text for completion in complete(ScriptedEngine(say_seed), 3, 1, 2)]
    assert texts == ["seed 3", "seed 1", "seed 2"]


def test_a_text_becomes_a_stopped_completion() -> None:
    (completion,) = complete(ScriptedEngine(say_seed), 7)
    assert completion == Completion(text="seed 7", num_tokens=2, finish_reason=FinishReason.STOP)


def test_a_completion_is_passed_on_as_it_is() -> None:
    assert complete(ScriptedEngine(lambda prompt, seed: CUT), 0) == (CUT,)


def test_no_seeds_give_no_completions() -> None:
    assert complete(ScriptedEngine(say_seed)) == ()


def test_calls_are_recorded() -> None:
    engine = ScriptedEngine(say_seed)
    complete(engine, 5, 6)
    assert engine.calls == [RecordedCall(prompt=PROMPT, sampling=Sampling(), seeds=(5, 6))]


def test_stats_count_words() -> None:
    engine = ScriptedEngine(say_seed)
    complete(engine, 1, 2, 3)
    assert engine.stats() == EngineStats(
        num_requests=3,
        num_finished=3,
        num_prompt_tokens=3 * 8,
        num_generated_tokens=3 * 2,
        load=EngineLoad(num_running=0, max_concurrency=256),
    )


def test_a_long_prompt_fails_its_call_only() -> None:
    engine = ScriptedEngine(
        lambda prompt, seed: PromptTooLong("9 of 8 tokens") if seed == 0 else "fine"
    )
    with pytest.raises(PromptTooLong, match="9 of 8 tokens"):
        complete(engine, 0)
    assert complete(engine, 1)[0].text == "fine"


def test_a_dead_engine_stays_dead() -> None:
    engine = ScriptedEngine(lambda prompt, seed: EngineDead("out of memory") if seed == 0 else "?")
    for seed in (0, 1):
        with pytest.raises(EngineDead, match="out of memory"):
            complete(engine, seed)


def test_a_death_reaches_the_calls_in_flight() -> None:
    engine = ScriptedEngine(
        lambda prompt, seed: EngineDead("gone") if seed == 0 else "?", delay_s=0.01
    )

    async def both() -> list[object]:
        calls = (engine.complete(PROMPT, Sampling(), [seed]) for seed in (0, 1))
        return await asyncio.gather(*calls, return_exceptions=True)

    assert [type(answer) for answer in asyncio.run(both())] == [EngineDead, EngineDead]


def test_a_closed_engine_is_dead() -> None:
    engine = ScriptedEngine(say_seed)
    engine.close()
    with pytest.raises(EngineDead, match="closed"):
        complete(engine, 1)


def test_it_pickles_when_the_reply_does() -> None:
    engine = ScriptedEngine(say_seed, delay_s=0.001, max_concurrency=3)
    copy = pickle.loads(pickle.dumps(engine))
    assert copy.max_concurrency == 3
    assert complete(copy, 4) == complete(engine, 4)
