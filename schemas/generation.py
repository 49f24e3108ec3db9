"""What is asked of a language model, and what comes back."""

from dataclasses import dataclass
from enum import StrEnum
from math import inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One chat turn; `role` is a name the model's chat template knows."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Chat turns and the beginning of the assistant's answer, which the model goes on from.

    `prefix` is taken as it is: what the engine feeds ends with exactly this text.
    """

    messages: tuple[Message, ...]
    prefix: str = ""

    def __post_init__(self) -> None:
        if not self.messages:
            raise ValueError("a prompt needs at least one message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How completions are drawn. The seed is not here: every completion has its own."""

    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    """Keep the k likeliest tokens; 0 keeps all."""
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < inf:
            raise ValueError(f"temperature must be at least 0, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], not {self.top_p}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be at least 0, not {self.top_k}")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, not {self.max_tokens}")


class FinishReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"
    """The model ended its turn, or wrote a stop string."""
    LENGTH = "length"
    """Cut at `max_tokens`: the text is truncated."""
    CONTEXT = "context"
    """Cut where the model's context ended: the text is truncated, and by us, not by the recipe."""
    REPETITION = "repetition"
    """Cut because the model repeated itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the model wrote after the prompt."""

    text: str
    num_tokens: int
    finish_reason: FinishReason
    stop_string: str | None = None
    """The string of `Sampling.stop` at which it stopped; the text is without it."""
