"""What is wrong with engine arguments as a job writes them: spelling, and secrets in them."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from factory.watching.secrets import IN_QUERY, PASSWORD
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

FOLDERS = frozenset({"model", "spec_model", "tokenizer", "model_weights", "hf_config_path"})
"""Arguments, also inside others, whose value may be a folder's name without a slash in it."""

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
    """Whether there is a password in an address or its query, or a token of the Hub."""
    return any(shape.search(text) for shape in (PASSWORD, IN_QUERY, HUB_TOKEN))


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


def with_absolute_paths(arguments: Mapping[str, Any], beside: Path) -> dict[str, Any]:
    """The same, with what lies beside the job file named by its absolute path."""

    def absolute(name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: absolute(str(key), item) for key, item in value.items()}
        if isinstance(value, list):
            return [absolute(name, item) for item in value]
        if _is_beside(name, value, beside):
            return str((beside / Path(value).expanduser()).resolve())
        return value

    return {name: absolute(name, value) for name, value in arguments.items()}


def relative_path_in(arguments: Any, beside: Path, prefix: str = "") -> str | None:
    """The name of the first one that means something beside the job file, also inside others."""
    for key, value in _items(arguments):
        name = f"{prefix}{key}"
        if _is_beside(str(key), value, beside) and not Path(value).expanduser().is_absolute():
            return name
        if found := relative_path_in(value, beside, f"{name}."):
            return found
    return None


def _is_beside(name: str, value: Any, beside: Path) -> bool:
    """Words like "auto" are none, whatever folders there are."""
    if not isinstance(value, str) or "://" in value:
        return False
    if value.startswith(("./", "../")):
        return True
    is_path = "/" in value or name.replace("-", "_") in FOLDERS
    return is_path and os.path.exists(beside / os.path.expanduser(value))  # a long text is no error
