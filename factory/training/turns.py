"""The assistant's turns of a conversation, each behind what a scorer will ask it behind.

That is the chat template's text of the turns before it and the opening of its own. Most templates
repeat what was said, so that one example holds all turns. Where a template opens thoughts
(DeepSeek-R1's), or leaves out those of earlier turns, a turn does not stand in the next one's text
as it was written: it then has a context, and an example, of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from factory.core.sft import ASSISTANT, SYSTEM
from factory.core.teachers.thinkprm import THOUGHTS
from factory.training.layouts import rendered

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One of the assistant's turns as a scorer has it written."""

    place: int
    """Its index in the conversation."""
    prompt: str
    written: str
    """Without the token that ends it, and without the opening that is in the prompt already."""

    @property
    def text(self) -> str:
        return self.prompt + self.written


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The beginning of a conversation, and from which of its messages on it is learnt."""

    messages: Messages
    learnt_from: int = 0


def turns_of(tokenizer: "PreTrainedTokenizerBase", messages: Messages) -> Iterator[Turn]:
    """Every turn behind the text that a scorer feeds: the template is given what the model wrote
    in its earlier turns, and shows of that what it likes."""
    said: list[dict[str, str]] = []
    for place, message in enumerate(messages):
        role, content = message["role"], message["content"]
        content = content if role == SYSTEM else content.strip()
        if role == ASSISTANT:
            prompt = rendered(tokenizer, said, asks=True)
            if prompt.rstrip().endswith(THOUGHTS):
                content = content.removeprefix(THOUGHTS).lstrip("\n")
            yield Turn(place=place, prompt=prompt, written=content)
        said.append({"role": role, "content": content})


def contexts(tokenizer: "PreTrainedTokenizerBase", messages: Messages) -> list[Context]:
    """The conversation in as few examples as hold every turn behind what it is asked behind."""
    if not messages or messages[-1]["role"] != ASSISTANT:
        return [Context(messages=messages)]
    turns = list(turns_of(tokenizer, messages))
    new = [turn.place for last, turn in pairwise(turns) if not turn.prompt.startswith(last.text)]
    ends = [last.place + 1 for last, turn in pairwise(turns) if turn.place in new]
    return [
        Context(messages=messages[:end], learnt_from=start)
        for start, end in zip([0, *new], [*ends, len(messages)], strict=True)
    ]
