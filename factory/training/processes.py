"""The processes of torchrun or accelerate: how many there are, and which one speaks."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from factory.errors import InputError

PATIENCE_S = 30
"""How long the main process may take to say what the others have noticed too."""


def num_processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def main_process_speaks() -> Iterator[None]:
    """Lets the main process alone tell a mistake.

    torchrun ends all processes as soon as one ends, so the others wait for that. If nobody ends
    them the mistake is theirs alone, like a file that their machine lacks, and they tell it.
    """
    try:
        yield
    except InputError:
        if not is_main_process():
            time.sleep(PATIENCE_S)
        raise
