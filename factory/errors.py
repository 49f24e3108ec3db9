"""What a person did wrong, in one line that says what to do next."""

from typing import Any


class InputError(ValueError):
    """Bad input: the command line prints the message and leaves with exit code 2."""


class FolderLost(Exception):
    """The folder is not this run's any more, and what it holds not this run's to say: another run
    took it, or the file system that it is on went away. Exit code 1."""


def shortened(value: Any, limit: int = 200) -> str:
    """A value's text as one line of at most `limit` characters, for messages."""
    text = " ".join(str(value)[: 10 * limit].split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
