"""The door: in order, never while the engine is full, and never shut for good."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.generation import Completion, FinishReason, Message, Prompt, Sampling
from workers.admission import Admission
from workers.engine import EngineStats
from workers.scripted_engine import ScriptedEngine

PROMPT = Prompt(messages=(Message(role="user", content="?"),))
DONE = Completion(text="", num_tokens=0, finish_reason=FinishReason.STOP)


class HeldEngine:
    """Answers when it is told to, and knows how many completions it owes."""

    max_concurrency = 2

    def __init__(self) -> None:
        self.num_owed = 0
        self.go_on = asyncio.Event()

    async def complete(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> tuple[Completion, ...]:
        self.num_owed += len(seeds)
        try:
            await self.go_on.wait()
        finally:
            self.num_owed -= len(seeds)
        return (DONE,) * len(seeds)

    def stats(self) -> EngineStats:
        return EngineStats()

    def close(self) -> None:
        pass


def soon(work: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(10):
            await work()

    asyncio.run(run())


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def ask(door: Admission, num_seeds: int) -> Awaitable[tuple[Completion, ...]]:
    return door.complete(PROMPT, Sampling(), range(num_seeds))


def test_work_waits_until_the_window_has_room() -> None:
    async def main() -> None:
        engine = HeldEngine()
        door = Admission(engine, window=2)
        entered: list[str] = []

        async def body(name: str) -> None:
            async with door.turn():
                entered.append(name)
                await ask(door, 2)

        async with asyncio.TaskGroup() as tasks:
            for name in "abc":
                tasks.create_task(body(name))
            await settle()
            assert entered == ["a"]
            engine.go_on.set()
        assert entered == ["a", "b", "c"]

    soon(main)


def test_what_was_admitted_is_never_held_back() -> None:
    async def main() -> None:
        engine = HeldEngine()
        door = Admission(engine, window=1)
        async with door.turn(), asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(ask(door, 5))  # type: ignore[arg-type]
            await settle()
            assert engine.num_owed == 15
            engine.go_on.set()

    soon(main)


def test_requests_of_earlier_work_do_not_open_the_door_behind_later_work() -> None:
    """b was admitted and has not asked yet; what a asks now says nothing of b."""

    async def main() -> None:
        engine = HeldEngine()
        door = Admission(engine, window=10)
        entered: list[str] = []
        b_may_ask, a_may_ask_again = asyncio.Event(), asyncio.Event()

        async def a() -> None:
            async with door.turn():
                entered.append("a")
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(ask(door, 1))  # type: ignore[arg-type]
                    await a_may_ask_again.wait()
                    tasks.create_task(ask(door, 1))  # type: ignore[arg-type]

        async def b() -> None:
            async with door.turn():
                entered.append("b")
                await b_may_ask.wait()
                await ask(door, 20)

        async def c() -> None:
            async with door.turn():
                entered.append("c")

        async with asyncio.TaskGroup() as tasks:
            for body in (a, b, c):
                tasks.create_task(body())
            await settle()
            assert entered == ["a", "b"]
            a_may_ask_again.set()
            await settle()
            assert engine.num_owed == 2
            assert entered == ["a", "b"]
            b_may_ask.set()
            await settle()
            assert engine.num_owed == 22
            assert entered == ["a", "b"]
            engine.go_on.set()
        assert entered == ["a", "b", "c"]

    soon(main)


def test_who_waits_for_anothers_work_lets_the_next_one_in() -> None:
    async def main() -> None:
        door = Admission(HeldEngine(), window=10)
        entered = asyncio.Event()

        async def waits() -> None:
            async with door.turn():
                door.step_aside()
                await entered.wait()

        async def next_one() -> None:
            async with door.turn():
                entered.set()

        await asyncio.gather(waits(), next_one())

    soon(main)


def test_requests_without_a_turn_are_served_and_open_no_door() -> None:
    async def main() -> None:
        door = Admission(ScriptedEngine(lambda prompt, seed: "x"))
        assert len(await ask(door, 3)) == 3
        door.step_aside()
        await settle()
        async with door.turn():
            pass

    soon(main)


def test_the_window_follows_the_engine() -> None:
    async def main() -> None:
        engine = ScriptedEngine(lambda prompt, seed: "x", max_concurrency=8)
        door = Admission(engine)
        assert door.max_concurrency == 8
        await ask(door, 2)
        assert door.stats() == engine.stats()

    soon(main)


@dataclass(frozen=True, slots=True)
class Body:
    """What one piece of work does while it is in."""

    num_requests: int = 0
    num_rounds: int = 1
    raises: bool = False
    is_cancelled: bool = False


BODIES = st.lists(
    st.builds(
        Body,
        num_requests=st.integers(0, 4),
        num_rounds=st.integers(1, 3),
        raises=st.booleans(),
        is_cancelled=st.booleans(),
    ),
    max_size=8,
)


@given(BODIES, st.integers(1, 6), st.integers(1, 30))
def test_any_work_gets_its_turn_in_order_and_only_when_there_is_room(
    bodies: list[Body], window: int, cancel_after: int
) -> None:
    async def main() -> None:
        num_in_flight = 0
        door = Admission(ScriptedEngine(lambda prompt, seed: "x"), window=window)
        entered: list[int] = []

        async def run(i: int, body: Body) -> None:
            nonlocal num_in_flight
            async with door.turn():
                assert num_in_flight < window
                entered.append(i)
                for _ in range(body.num_rounds):
                    num_in_flight += body.num_requests
                    try:
                        if body.num_requests:
                            await ask(door, body.num_requests)
                    finally:
                        num_in_flight -= body.num_requests
                    await asyncio.sleep(0)
                if body.raises:
                    raise KeyError(i)

        work = [asyncio.create_task(run(i, body)) for i, body in enumerate(bodies)]
        for _ in range(cancel_after):
            await asyncio.sleep(0)
        for task, body in zip(work, bodies, strict=True):
            if body.is_cancelled:
                task.cancel()
        found = await asyncio.gather(*work, return_exceptions=True)
        assert not any(isinstance(result, AssertionError) for result in found)
        assert entered == sorted(entered)
        assert {i for i, body in enumerate(bodies) if not body.is_cancelled} <= {*entered}
        async with door.turn():  # the door was left open
            pass

    soon(main)


@pytest.mark.parametrize("is_inside", [True, False])
def test_a_cancelled_turn_leaves_the_door_to_the_next(is_inside: bool) -> None:
    async def main() -> None:
        engine = HeldEngine()
        door = Admission(engine, window=1)

        async def body(num_seeds: int) -> None:
            async with door.turn():
                await ask(door, num_seeds)

        first = asyncio.create_task(body(1))
        second = asyncio.create_task(body(1))
        third = asyncio.create_task(body(0))
        await settle()
        (first if is_inside else second).cancel()
        await settle()
        engine.go_on.set()
        await third

    soon(main)
