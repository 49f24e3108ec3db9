"""An engine without a model: a function replies. For tests of the programs that use engines."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from schemas.generation import Completion, FinishReason, Prompt, Sampling
from workers.engine import EngineDead, EngineLoad, EngineStats

Reply = Callable[[Prompt, int], str | Completion | Exception]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """One `complete` as it was asked."""

    prompt: Prompt
    sampling: Sampling
    seeds: tuple[int, ...]


class ScriptedEngine:
    """Answers every seed with `reply(prompt, seed)`; pickles when `reply` does.

    A text becomes a completion that stopped by itself, an exception is raised, and after an
    EngineDead every call raises it, as with a real engine. Tokens are words; none is ever cached.
    """

    def __init__(
        self,
        reply: Reply,
        *,
        delay_s: float = 0.0,
        max_concurrency: int = 256,
        weigh: Callable[[Prompt, Sequence[str]], Sequence[float]] | None = None,
    ) -> None:
        """`weigh` gives an option's log-probability; without it the engine weighs nothing."""
        self.calls: list[RecordedCall] = []
        self._weigh = weigh
        self._reply = reply
        self._delay_s = delay_s
        self._max_concurrency = max_concurrency
        self._stats = EngineStats()
        self._num_running = 0
        self._dead: str | None = None

    async def complete(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> tuple[Completion, ...]:
        self._check_alive()
        self.calls.append(RecordedCall(prompt=prompt, sampling=sampling, seeds=tuple(seeds)))
        self._count(num_requests=len(seeds))
        self._num_running += len(seeds)
        try:
            await asyncio.sleep(self._delay_s)
        finally:
            self._num_running -= len(seeds)
        self._check_alive()
        completions = tuple(self._answer(prompt, seed) for seed in seeds)
        self._count(
            num_finished=len(seeds),
            num_prompt_tokens=len(seeds) * _num_words(prompt),
            num_generated_tokens=sum(completion.num_tokens for completion in completions),
        )
        return completions

    async def weigh(self, prompt: Prompt, options: Sequence[str]) -> tuple[float, ...]:
        self._check_alive()
        if self._weigh is None:
            raise ValueError("this engine was not told how to weigh options")
        return tuple(self._weigh(prompt, options))

    @property
    def max_concurrency(self) -> int:
        return self._max_concurrency

    def stats(self) -> EngineStats:
        load = EngineLoad(num_running=self._num_running, max_concurrency=self._max_concurrency)
        return replace(self._stats, load=load)

    def close(self) -> None:
        self._dead = "the engine was closed"

    def _answer(self, prompt: Prompt, seed: int) -> Completion:
        answer = self._reply(prompt, seed)
        if isinstance(answer, EngineDead):
            self._dead = str(answer)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            return Completion(
                text=answer,
                num_tokens=len(answer.split()),
                finish_reason=FinishReason.STOP,
            )
        return answer

    def _check_alive(self) -> None:
        if self._dead is not None:
            raise EngineDead(self._dead)

    def _count(self, **more: int) -> None:
        sums = {name: getattr(self._stats, name) + number for name, number in more.items()}
        self._stats = replace(self._stats, **sums)


def _num_words(prompt: Prompt) -> int:
    texts = [message.content for message in prompt.messages] + [prompt.prefix]
    return sum(len(text.split()) for text in texts)
