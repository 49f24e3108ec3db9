"""A lossless byte-level tokenizer: a token per word of the toy world, a token per digit.

There are no merges: a piece of text is one token if it is in the vocabulary, else its bytes. Every
text therefore survives the round trip. Words carry the space before them.

A system message is ignored by the chat template: the model has never seen one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.toy.lines import write_answer
from factory.toy.solver import write_solution
from factory.toy.world import make_problems

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END, PAD, USER, ASSISTANT = "<|end|>", "<|pad|>", "<|user|>", "<|assistant|>"
CONTROL = (PAD, END, USER, ASSISTANT)
TAGS = (
    "<analyze>",
    "</analyze>",
    "<verify>",
    "</verify>",
    "<output>",
    "</output>",
    "```python",
    "```",
    "[Code Output]",
    "<extra_0>",
)
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{{ '<|user|>' + message['content'] + '<|end|>' }}"
    "{%- elif message['role'] == 'assistant' -%}"
    "{{ '<|assistant|>' + message['content'] + '<|end|>' }}"
    "{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)
CRITIC_WORDS = """
step steps problem right wrong correct incorrect true false same different needs says gives should
follows from because check print assert and is are not equal so then this first last Step Yes No
yes no True False The Let the verdict result error
"""
PIECE = r"\n\n| ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]|\s"
MAX_LENGTH = 512


def chat_text(question: str, solution: str) -> str:
    """The training format: what the chat template writes for the question, the text, the end."""
    return f"{USER}{question}{END}{ASSISTANT}{solution}{END}"


def build_tokenizer(
    phrases: Sequence[str] = (), max_length: int = MAX_LENGTH
) -> PreTrainedTokenizerFast:
    """The solver's tokenizer, made from the toy world and nothing else.

    `phrases` get a token each on top, wherever they stand, and may hold spaces and line breaks.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, pre_tokenizers
    from tokenizers.decoders import ByteLevel as ByteLevelDecoder
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    spelling = _byte_spelling()
    pieces = _words()
    alphabet = [spelling[byte] for byte in range(256)]
    spelled = ["".join(spelling[byte] for byte in piece.encode()) for piece in pieces]
    tokens = list(dict.fromkeys([*CONTROL, *TAGS, *alphabet, *spelled, *phrases]))
    core = Tokenizer(BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[], ignore_merges=True))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECE), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = ByteLevelDecoder()
    core.add_special_tokens([AddedToken(t, normalized=False) for t in CONTROL])
    core.add_tokens([AddedToken(t, normalized=False) for t in (*TAGS, *phrases)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=END,
        pad_token=PAD,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _words() -> list[str]:
    """Every piece of text that occurs often in questions and solutions, and a critic's words."""
    seen: Counter[str] = Counter()
    for problem in make_problems(1000, seed=0, training=True):
        steps = [step.text for step in write_solution(problem, seed=0)]
        for text in (problem.question, *steps):
            seen.update(re.findall(PIECE, text))
    seen.update(re.findall(PIECE, write_answer(problem.value)))
    digits = [space + digit for space in ("", " ") for digit in "0123456789"]
    frequent = sorted(piece for piece, times in seen.items() if times >= 3)
    return ["\n\n", *digits, *frequent, *(f" {word}" for word in CRITIC_WORDS.split())]


def _byte_spelling() -> dict[int, str]:
    """How byte-level tokenizers spell each byte as one printable character (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
