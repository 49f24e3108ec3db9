"""What a person did wrong, in one line that says what to do next."""

from typing import Any


class InputError(ValueError):
    """Bad input: the command line prints the message and leaves with exit code 2."""


def shortened(value: Any, limit: int = 200) -> str:
    """A value's text as one line of at most `limit` characters, for messages."""
    text = " ".join(str(value)[: 10 * limit].split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
