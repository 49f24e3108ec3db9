"""The engine protocol: what a program may ask of a language model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.generation import Completion, Prompt, Sampling


class PromptTooLong(ValueError):
    """The prompt leaves no room for a single token in the model's context."""


class EngineDead(RuntimeError):
    """The engine stopped working; every request in flight is lost, none of them is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLoad:
    """What the engine is doing at this moment."""

    num_running: int = 0
    """Completions being computed."""
    num_waiting: int = 0
    """Completions the engine has been asked for and not begun, preempted ones among them."""
    max_concurrency: int = 0
    """How many it computes at a time."""
    kv_cache_usage: float = 0.0
    """Share of the KV cache that holds running completions, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """Counters since the engine started. `requests` are completions, not prompts."""

    num_requests: int = 0
    num_finished: int = 0
    num_prompt_tokens: int = 0
    num_cached_prompt_tokens: int = 0
    """Prompt tokens served from the prefix cache instead of being computed."""
    num_generated_tokens: int = 0
    num_preemptions: int = 0
    num_cache_queries: int = 0
    """Prompt tokens looked up in the prefix cache, again after each preemption."""
    num_cache_hits: int = 0
    """Of these, found there."""
    load: EngineLoad = EngineLoad()


class Engine(Protocol):
    """A language model that completes prompts, many callers at a time."""

    async def complete(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> tuple[Completion, ...]:
        """One completion per seed, in the order of the seeds.

        Raises PromptTooLong when the prompt does not fit, EngineDead when the engine is gone.
        """
        ...

    async def weigh(self, prompt: Prompt, options: Sequence[str]) -> tuple[float, ...]:
        """The log-probability of each option as what comes next, at the token that parts them.

        The options are tokenised behind the prompt's text; what they begin with in common is taken
        as written. Raises as `complete` does, and ValueError where no single place tells all
        options from one another: one begins with another, or there are fewer than two.
        """
        ...

    @property
    def max_concurrency(self) -> int:
        """How many completions the engine computes at a time."""
        ...

    def stats(self) -> EngineStats:
        """Counters since the start."""
        ...

    def close(self) -> None:
        """Let go of the model; later calls raise EngineDead."""
        ...
