"""Real vLLM on CPU with the toy model. One engine for the whole file."""

import asyncio
import signal
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from factory.toy import MODEL_DIR
from schemas.generation import Completion, FinishReason, Message, Prompt, Sampling
from workers.engine import Engine, EngineDead, EngineLoad, PromptTooLong
from workers.vllm_dialect import Dialect, parting, render_turns
from workers.vllm_engine import cpu_arguments, open_engine, open_in_processes

CONTEXT = 256
ENGINE_ARGS: dict[str, Any] = {
    "max_model_len": CONTEXT,
    "max_num_seqs": 64,
    "kv_cache_memory_bytes": 64 << 20,
}
QUESTION = "Tom has 12 apples. He buys 7 more and loses 3. How many apples does Tom have now?"
PROMPT = Prompt(messages=(Message(role="user", content=QUESTION),), prefix="12 + 7 =")
WILD = Sampling(temperature=2.0, max_tokens=24)

needs_vllm = pytest.mark.engine


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def engine(run_folder: Path) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(run_folder))
        engine = open_engine(str(MODEL_DIR), device="cpu", engine_args=ENGINE_ARGS)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODEL_DIR)


def complete(
    engine: Engine, seeds: Sequence[int], prompt: Prompt = PROMPT, sampling: Sampling = WILD
) -> tuple[Completion, ...]:
    return asyncio.run(engine.complete(prompt, sampling, seeds))


def with_prefix(prefix: str) -> Prompt:
    return Prompt(messages=PROMPT.messages, prefix=prefix)


class PlainTokenizer:
    """A base model's: no chat template, one token per character, a beginning token on request."""

    chat_template = None

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return [1] * add_special_tokens + [ord(character) for character in text]


def test_without_a_chat_template_the_contents_are_paragraphs() -> None:
    messages = (Message(role="system", content="Be brief."), Message(role="user", content="2+2?"))
    assert render_turns(PlainTokenizer(), messages) == "Be brief.\n\n2+2?\n\n"


def test_a_plain_prompt_begins_with_the_special_token_and_ends_with_the_prefix() -> None:
    prompt = Prompt(messages=(Message(role="user", content="2+2?"),), prefix="=\n\n")
    ids = Dialect(PlainTokenizer(), context_length=99).encode(prompt)
    assert ids == [1, *map(ord, "2+2?\n\n=\n\n")]


def test_a_prompt_as_long_as_the_context_is_too_long() -> None:
    prompt = Prompt(messages=(Message(role="user", content="2+2?"),))
    assert len(Dialect(PlainTokenizer(), context_length=8).encode(prompt)) == 7
    with pytest.raises(PromptTooLong, match="7 tokens, the model's context 7"):
        Dialect(PlainTokenizer(), context_length=7).encode(prompt)


def test_options_part_where_their_tokens_differ() -> None:
    assert parting([[1, 2, 3], [1, 2, 4, 5]]) == ([1, 2], (3, 4))
    for same in ([[1, 2], [1, 2]], [[1], [1, 2]], [[1, 2], [1, 3], [1, 3, 4]]):
        with pytest.raises(ValueError, match="no single token tells apart"):
            parting(same)


@needs_vllm
def test_options_weigh_what_the_model_gives_them(engine: Engine, tokenizer: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    options = (" 19", " 27", " 3")
    weights = asyncio.run(engine.weigh(PROMPT, options))
    dialect = Dialect(tokenizer, CONTEXT)
    network = AutoModelForCausalLM.from_pretrained(MODEL_DIR).eval()
    texts = [dialect.encode(with_prefix(PROMPT.prefix + option)) for option in options]
    shared = [ids[0] for ids in zip(*texts, strict=False) if len(set(ids)) == 1]
    with torch.inference_mode():
        logits = network(torch.tensor([shared])).logits[0, -1]
    expected = logits.log_softmax(-1)[[ids[len(shared)] for ids in texts]].tolist()
    assert list(weights) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("num_prompt", "num_tokens", "vllms", "ours"),
    [
        (4, 4, "length", FinishReason.CONTEXT),
        (4, 3, "length", FinishReason.LENGTH),
        (4, 4, "stop", FinishReason.STOP),
    ],
)
def test_the_end_of_the_context_is_not_the_end_of_max_tokens(
    num_prompt: int, num_tokens: int, vllms: str, ours: FinishReason
) -> None:
    answer = SimpleNamespace(
        text="x", token_ids=[7] * num_tokens, finish_reason=vllms, stop_reason=None
    )
    output = SimpleNamespace(outputs=[answer], prompt_token_ids=[7] * num_prompt)
    completion = Dialect(PlainTokenizer(), context_length=8).completion(output)
    assert completion == Completion(text="x", num_tokens=num_tokens, finish_reason=ours)


@pytest.mark.parametrize(("vllms", "ours"), [("```\n", "```\n"), (2, None), (None, None)])
def test_a_completion_tells_the_string_it_stopped_at(
    vllms: str | int | None, ours: str | None
) -> None:
    """vLLM names the id of a stop token there too."""
    answer = SimpleNamespace(text="x", token_ids=[7], finish_reason="stop", stop_reason=vllms)
    output = SimpleNamespace(outputs=[answer], prompt_token_ids=[7])
    completion = Dialect(PlainTokenizer(), context_length=8).completion(output)
    assert completion is not None
    assert completion.stop_string == ours


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=r"2\*\*63"):
        Dialect(PlainTokenizer(), context_length=99).requests(PROMPT, WILD, [0, seed])


@needs_vllm
def test_a_chat_prompt_is_the_template_and_then_the_prefix(tokenizer: Any) -> None:
    prompt = with_prefix(" 12 + 7 = 19.\n\n")
    turns = [{"role": "user", "content": QUESTION}]
    expected = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    decoded = tokenizer.decode(Dialect(tokenizer, CONTEXT).encode(prompt))
    assert decoded == expected + prompt.prefix


@needs_vllm
def test_seeds_decide_the_text_whatever_shares_the_batch(engine: Engine) -> None:
    alone = [complete(engine, [seed])[0] for seed in range(4)]

    async def among_others() -> list[tuple[Completion, ...]]:
        others = (engine.complete(with_prefix(f"{n} + 7 ="), WILD, [n, n + 1]) for n in range(32))
        return await asyncio.gather(engine.complete(PROMPT, WILD, [3, 1, 0, 2]), *others)

    crowded = asyncio.run(among_others())[0]
    assert list(crowded) == [alone[3], alone[1], alone[0], alone[2]]
    assert len({completion.text for completion in alone}) > 1


@needs_vllm
def test_zero_temperature_and_one_candidate_agree(engine: Engine) -> None:
    greedy = complete(engine, [1, 2], sampling=Sampling(temperature=0.0, max_tokens=16))
    narrow = complete(engine, [3, 4], sampling=Sampling(temperature=1.0, top_k=1, max_tokens=16))
    assert len({completion.text for completion in greedy + narrow}) == 1


@needs_vllm
def test_a_stop_string_ends_the_text_before_itself(engine: Engine) -> None:
    (free,) = complete(engine, [5])
    middle = len(free.text) // 2
    stop = free.text[middle : middle + 3]
    (cut,) = complete(engine, [5], sampling=Sampling(temperature=2.0, max_tokens=24, stop=(stop,)))
    assert cut.text == free.text[: free.text.index(stop)]
    assert cut.finish_reason is FinishReason.STOP


@needs_vllm
def test_completions_hold_no_special_tokens(engine: Engine, tokenizer: Any) -> None:
    for completion in complete(engine, range(32)):
        assert not any(token in completion.text for token in tokenizer.all_special_tokens)


@needs_vllm
def test_the_context_cuts_a_completion_and_then_refuses_the_prompt(
    engine: Engine, tokenizer: Any
) -> None:
    room = CONTEXT - len(Dialect(tokenizer, CONTEXT).encode(with_prefix("")))
    nearly_full = with_prefix("1" * (room - 3))
    completions = complete(engine, range(8), prompt=nearly_full)
    cut = [c for c in completions if c.finish_reason is FinishReason.CONTEXT]
    assert all(c.finish_reason is not FinishReason.LENGTH for c in completions)
    assert {c.num_tokens for c in cut} == {3}
    assert all(c.num_tokens <= 3 for c in completions)
    with pytest.raises(PromptTooLong):
        complete(engine, [0], prompt=with_prefix("1" * room))


@needs_vllm
def test_stats_count_prompts_cached_prompts_and_tokens(engine: Engine) -> None:
    prompt = with_prefix("99 + 98 + 97 =")
    before = engine.stats()
    completions = complete(engine, range(16), prompt=prompt)
    middle = engine.stats()
    completions += complete(engine, range(16, 32), prompt=prompt)
    after = engine.stats()

    assert after.num_requests - before.num_requests == 32
    assert after.num_finished - before.num_finished == 32
    generated = after.num_generated_tokens - before.num_generated_tokens
    assert generated == sum(completion.num_tokens for completion in completions)
    prompt_tokens = after.num_prompt_tokens - middle.num_prompt_tokens
    assert prompt_tokens == middle.num_prompt_tokens - before.num_prompt_tokens
    cached = after.num_cached_prompt_tokens - middle.num_cached_prompt_tokens
    assert 0 < cached < prompt_tokens
    assert cached % 16 == 0, "sixteen requests share the same blocks"
    assert after.num_preemptions == before.num_preemptions
    looked_up = after.num_cache_queries - middle.num_cache_queries
    assert looked_up == prompt_tokens
    assert after.num_cache_hits - middle.num_cache_hits == cached


@needs_vllm
def test_the_load_is_what_the_engine_is_doing(engine: Engine) -> None:
    async def run() -> EngineLoad:
        work = asyncio.ensure_future(
            engine.complete(PROMPT, Sampling(temperature=2.0, max_tokens=200), range(100))
        )
        while not engine.stats().load.num_running:
            await asyncio.sleep(0.01)
        seen = engine.stats().load
        await work
        return seen

    busy, idle = asyncio.run(run()), engine.stats().load
    assert 0 < busy.num_running <= busy.max_concurrency == ENGINE_ARGS["max_num_seqs"]
    assert busy.num_waiting > 0
    assert 0 < busy.kv_cache_usage < 1
    assert (idle.num_running, idle.num_waiting, idle.kv_cache_usage) == (0, 0, 0)


@needs_vllm
def test_hundreds_of_callers_that_give_up_leave_the_engine_well(engine: Engine) -> None:
    long = Sampling(temperature=2.0, max_tokens=200)

    async def run() -> tuple[Completion, ...]:
        calls = [
            asyncio.ensure_future(engine.complete(with_prefix(str(n)), long, range(4)))
            for n in range(100)
        ]
        await asyncio.sleep(0.3)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        return await engine.complete(PROMPT, WILD, [1])

    before = engine.stats()
    assert asyncio.run(run()) == complete(engine, [1])
    after = engine.stats()
    assert after.num_finished - before.num_finished < 400


@needs_vllm
def test_what_vllm_refuses_is_a_value_error_for_that_call(engine: Engine) -> None:
    with pytest.raises(ValueError, match="stop"):
        complete(engine, [0], sampling=Sampling(stop=("",)))
    assert len(complete(engine, [0])) == 1


@needs_vllm
@pytest.mark.parametrize(
    ("engine_args", "message"),
    [
        ({"max_num_seq": 8}, "no engine argument 'max_num_seq': did you mean max_num_seqs"),
        ({"model": "another"}, "model is set by us"),
        ({"enable_chunked_prefill": True}, "crashes seeded requests on CPU"),
    ],
)
def test_wrong_engine_arguments_are_named(engine_args: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_engine(str(MODEL_DIR), device="cpu", engine_args=engine_args)


@needs_vllm
@pytest.mark.slow
def test_both_hosts_write_the_same_texts(engine: Engine) -> None:
    prompts = [with_prefix(f"{n} + 7 =") for n in range(12)]

    async def all_of(host: Engine) -> list[tuple[Completion, ...]]:
        return await asyncio.gather(*(host.complete(p, WILD, range(8)) for p in prompts))

    async def in_processes() -> list[tuple[Completion, ...]]:
        arguments = cpu_arguments(str(MODEL_DIR), ENGINE_ARGS)
        other = open_in_processes(str(MODEL_DIR), arguments, hang_timeout_s=120)
        try:
            completions = await all_of(other)
            calls = [
                asyncio.ensure_future(other.complete(p, Sampling(max_tokens=200), [0]))
                for p in prompts
            ]
            await asyncio.sleep(0.05)
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
            assert len(await other.complete(PROMPT, WILD, [0])) == 1
            with pytest.raises(ValueError, match="stop"):
                await other.complete(PROMPT, Sampling(stop=("",)), [0])
            generated = other.stats().num_generated_tokens
            assert generated >= sum(c.num_tokens for group in completions for c in group)
            assert other.stats().num_cached_prompt_tokens > 0
        finally:
            other.close()
        with pytest.raises(EngineDead, match="closed"):
            await other.complete(PROMPT, WILD, [0])
        return completions

    assert asyncio.run(in_processes()) == asyncio.run(all_of(engine))


@needs_vllm
@pytest.mark.slow
@pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGSTOP])
def test_an_engine_whose_process_is_killed_or_stopped_is_dead_and_leaves_none(
    what: signal.Signals,
) -> None:
    """The host of engines with GPUs: the worker learns of it and leaves."""
    before = set(psutil.Process().children(recursive=True))

    async def lose() -> None:
        arguments = cpu_arguments(str(MODEL_DIR), ENGINE_ARGS)
        host = open_in_processes(str(MODEL_DIR), arguments, hang_timeout_s=10)
        own = list(set(psutil.Process().children(recursive=True)) - before)
        # Python's tracker of shared memory is this process's, and stays while it does.
        own = [p for p in own if "resource_tracker" not in " ".join(p.cmdline())]
        cores = [p for p in own if "EngineCore" in " ".join(p.cmdline())]
        assert cores, [p.cmdline() for p in own]
        try:
            assert len(await host.complete(PROMPT, WILD, [0])) == 1
            for core in cores:
                core.send_signal(what)
            with pytest.raises(EngineDead):
                await asyncio.wait_for(host.complete(PROMPT, WILD, range(8)), 120)
        finally:
            await asyncio.to_thread(host.close)
        _, alive = psutil.wait_procs(own, timeout=60)
        assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]

    asyncio.run(lose())


@needs_vllm
def test_a_closed_engine_leaves_no_files_and_is_dead(engine: Engine, run_folder: Path) -> None:
    # Last in the file: it closes the engine that all others use.
    assert list(run_folder.iterdir()) != []
    assert not tempfile.gettempdir().startswith(str(run_folder))
    engine.close()
    # Torch makes its cache for all processes of a user where temporary files go.
    assert [f for f in run_folder.iterdir() if not f.name.startswith("torchinductor_")] == []
    with pytest.raises(EngineDead, match="closed"):
        complete(engine, [0])
