"""Reading the rows of a job that may run: its driver puts batches together while they are read."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from factory.errors import InputError

T = TypeVar("T")
PAUSES_S = (1.0, 2.0, 4.0, 8.0)
"""Between attempts."""


def reread(folder: Path, read: Callable[[], T], pauses_s: Iterable[float] = PAUSES_S) -> T:
    """What `read` returns of the job in `folder`; begun again where a listed file was gone.

    Raises InputError when the job moves its rows faster than they are read.
    """
    waits = iter(pauses_s)
    while True:
        try:
            return read()
        except FileNotFoundError as error:
            if not str(error.filename).startswith(str(folder / "stages")):
                raise
            if (pause_s := next(waits, None)) is None:
                raise InputError(
                    f"rows in {folder} went while they were read ({error.filename}): let the job "
                    "there end, or stop it, then run this again"
                ) from error
            time.sleep(pause_s)
