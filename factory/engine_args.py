"""What is wrong with engine arguments as a job writes them: spelling, and secrets in them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from factory.watching.secrets import PASSWORD
from workers.engine_args import PARALLEL_SIZES

SECRETS = {
    "token": "HF_TOKEN",
    "secret": "AWS_SECRET_ACCESS_KEY",
    "access_key": "AWS_SECRET_ACCESS_KEY",
    "password": None,
    "passwd": None,
    "api_key": None,
    "apikey": None,
}
"""Ends of names that hold a secret, and the variable to set instead where that has a usual name."""
VOCABULARY = re.compile(r"[<\[].*[>\]]", re.S)
"""A token of a tokenizer, like <|im_end|> or [PAD], which is no secret."""

HUB_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{30,}\b")
"""Shorter ones are names of folders."""


def misspelled(arguments: Mapping[str, Any]) -> str | None:
    """What in them vLLM would read otherwise than we do, as a sentence; `None` without such."""
    for name in arguments:
        if "-" in name:
            return f"{name} is a flag's name: write {name.replace('-', '_')}"
    for name in PARALLEL_SIZES:
        size = arguments.get(name, 1)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            return f"{name} {size!r} is no whole number of GPUs: write it without quotes"
    return None


def secret_in(arguments: Any, prefix: str = "") -> str | None:
    """A sentence on the first thing in them that is a secret, also inside others, without it."""
    for key, value in _items(arguments):
        name = f"{prefix}{key}"
        if (ending := _secret_ending(str(key))) and _could_be_secret(ending, value):
            variable = SECRETS[ending] or _normalised(str(key)).upper()
            return f"{name} does not belong in a job file: set {variable} in the environment"
        if isinstance(value, str) and holds_secret(value):
            return (
                f"{name} holds a secret, which does not belong in a job file: set HF_TOKEN, or "
                "what else it is for, in the environment"
            )
        if found := secret_in(value, f"{name}."):
            return found
    return None


def holds_secret(text: str) -> bool:
    """Whether there is a password in an address, or a token of the Hub."""
    return bool(PASSWORD.search(text) or HUB_TOKEN.search(text))


def _items(arguments: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(arguments, Mapping):
        yield from arguments.items()
    elif isinstance(arguments, list):
        yield from enumerate(arguments)


def _normalised(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"\W", "_", words).lower()


def _secret_ending(name: str) -> str | None:
    return next((ending for ending in SECRETS if _normalised(name).endswith(ending)), None)


def _could_be_secret(ending: str, value: Any) -> bool:
    """`hf_token: true` asks for the one that is logged in, and a number of something per token is
    none."""
    if isinstance(value, str):
        return not VOCABULARY.fullmatch(value)
    return ending != "token" and isinstance(value, int | float) and not isinstance(value, bool)
