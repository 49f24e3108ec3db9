"""Both hosts of vLLM, over a fake of it: what callers see of ends, failures, hangs."""

import asyncio
import pickle
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from schemas.generation import Completion, FinishReason, Message, Prompt, Sampling
from workers.engine import Engine, EngineDead
from workers.vllm_async import AsyncEngine
from workers.vllm_counters import Counters
from workers.vllm_thread import ThreadEngine

PROMPT = Prompt(messages=(Message(role="user", content="hello"),))
BAD_SEED = 13


@dataclass
class Output:
    request_id: str
    seed: int


class FakeDialect:
    def requests(self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]) -> list[Any]:
        return [(prompt, seed) for seed in seeds]

    def completion(self, output: Output) -> Completion | None:
        if output.seed < 0:
            return None
        return Completion(text=str(output.seed), num_tokens=1, finish_reason=FinishReason.STOP)

    def is_bad_request(self, error: Exception) -> bool:
        return isinstance(error, ValueError)


class FakeVLLM:
    """Both of vLLM's interfaces. A step does what `on_step` says, then finishes every request."""

    def __init__(self, on_step: Callable[[], None] = lambda: None) -> None:
        self.running: dict[str, int] = {}
        self.num_steps = 0
        self._on_step = on_step

    def add_request(self, request_id: str, tokens: Any, seed: int) -> None:
        if seed == BAD_SEED:
            raise ValueError("thirteen")
        self.running[request_id] = seed

    def abort_request(self, request_ids: list[str]) -> None:
        for request_id in request_ids:
            del self.running[request_id]

    def step(self) -> list[Output]:
        self.num_steps += 1
        self._on_step()
        outputs = [Output(*item) for item in self.running.items()]
        self.running.clear()
        return outputs

    async def generate(self, tokens: Any, seed: int, request_id: str) -> AsyncIterator[Output]:
        self.add_request(request_id, tokens, seed)
        try:
            await asyncio.to_thread(self._on_step)
            yield Output(request_id, seed)
        finally:
            del self.running[request_id]


@pytest.fixture(params=[ThreadEngine, AsyncEngine])
def host(request: pytest.FixtureRequest) -> Any:
    """A function that puts a fake into the host under test."""
    engines: list[Engine] = []

    def put(fake: FakeVLLM, hang_timeout_s: float = 60.0) -> Engine:
        engine: Engine = request.param(
            fake,
            FakeDialect(),
            Counters(),
            max_concurrency=4,
            hang_timeout_s=hang_timeout_s,
            release=lambda: None,
        )
        engines.append(engine)
        return engine

    yield put
    for engine in engines:
        engine.close()


async def texts(engine: Engine, *seeds: int) -> list[str]:
    return [c.text for c in await engine.complete(PROMPT, Sampling(), seeds)]


async def settle(*calls: Any) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


def test_completions_come_in_the_order_of_the_seeds(host: Any) -> None:
    engine = host(FakeVLLM())
    assert asyncio.run(texts(engine, 3, 1, 2)) == ["3", "1", "2"]
    assert asyncio.run(texts(engine)) == []
    assert engine.stats().num_requests == 3


def test_a_failure_reaches_every_call_now_and_later(host: Any) -> None:
    def explode() -> None:
        raise MemoryError("no block left")

    async def run() -> None:
        engine = host(FakeVLLM(explode))
        answers = await settle(*(texts(engine, seed) for seed in range(5)))
        answers += await settle(texts(engine, 5))
        assert [type(answer) for answer in answers] == [EngineDead] * 6
        assert "MemoryError: no block left" in str(answers[0])
        assert str(pickle.loads(pickle.dumps(answers[0]))) == str(answers[0])

    asyncio.run(run())


def test_a_request_given_up_is_never_taken_for_a_completion(host: Any) -> None:
    with pytest.raises(EngineDead, match="without an answer"):
        asyncio.run(texts(host(FakeVLLM()), 1, -1))


def test_a_bad_request_fails_its_own_call_only(host: Any) -> None:
    async def run() -> None:
        engine = host(FakeVLLM())
        bad, good = await settle(texts(engine, 1, BAD_SEED), texts(engine, 2))
        assert type(bad) is ValueError
        assert str(bad) == "thirteen"
        assert good == ["2"]

    asyncio.run(run())


def test_a_hang_is_noticed_and_kills_the_engine(host: Any) -> None:
    wake_up = threading.Event()

    async def run() -> None:
        engine = host(FakeVLLM(lambda: (wake_up.wait(20), None)[1]), hang_timeout_s=0.2)
        start = time.monotonic()
        answers = await settle(texts(engine, 1), texts(engine, 2))
        waited = time.monotonic() - start
        answers += await settle(texts(engine, 3))
        wake_up.set()
        assert [type(answer) for answer in answers] == [EngineDead] * 3
        assert "no token" in str(answers[0])
        assert 0.2 <= waited < 5

    asyncio.run(run())


def test_an_idle_engine_does_not_count_as_hung(host: Any) -> None:
    async def run() -> None:
        engine = host(FakeVLLM(), hang_timeout_s=0.05)
        await asyncio.sleep(0.3)
        assert await texts(engine, 1) == ["1"]

    asyncio.run(run())


def test_a_cancelled_call_leaves_the_engine(host: Any) -> None:
    async def run() -> None:
        steps = threading.Semaphore(0)
        fake = FakeVLLM(steps.acquire)
        engine = host(fake)
        call = asyncio.ensure_future(texts(engine, 1, 2, 3))
        while len(fake.running) < 3:
            await asyncio.sleep(0.001)
        call.cancel()
        assert isinstance((await settle(call))[0], asyncio.CancelledError)
        steps.release(100)
        assert await texts(engine, 4) == ["4"]
        assert not fake.running

    asyncio.run(run())


def test_close_ends_the_calls_in_flight(host: Any) -> None:
    async def run() -> None:
        engine = host(FakeVLLM(lambda: time.sleep(0.1)))
        call = asyncio.ensure_future(texts(engine, 1))
        await asyncio.sleep(0.02)
        engine.close()
        engine.close()
        answers = await settle(call, texts(engine, 2))
        assert [str(answer) for answer in answers] == ["the engine was closed"] * 2

    asyncio.run(run())


def test_the_thread_sleeps_while_there_is_nothing_to_do() -> None:
    fake = FakeVLLM()
    engine = ThreadEngine(
        fake,
        FakeDialect(),  # type: ignore[arg-type]
        Counters(),
        max_concurrency=4,
        hang_timeout_s=60,
        release=lambda: None,
    )
    assert asyncio.run(texts(engine, 1)) == ["1"]
    num_steps = fake.num_steps
    time.sleep(0.1)
    assert fake.num_steps == num_steps
    engine.close()


def test_a_loop_that_closed_does_not_hurt_the_engine() -> None:
    steps = threading.Semaphore(0)
    engine = ThreadEngine(
        FakeVLLM(steps.acquire),
        FakeDialect(),  # type: ignore[arg-type]
        Counters(),
        max_concurrency=4,
        hang_timeout_s=60,
        release=lambda: None,
    )

    async def give_up_soon() -> None:
        await asyncio.wait_for(texts(engine, 1), timeout=0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(give_up_soon())
    steps.release(100)
    assert asyncio.run(texts(engine, 2)) == ["2"]
    engine.close()
