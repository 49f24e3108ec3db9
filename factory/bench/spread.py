"""One function in several processes, each with a model of one thread in it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from multiprocessing import get_context
from typing import TypeVar

Share = TypeVar("Share")
Found = TypeVar("Found")


def spread(call: Callable[[Share], list[Found]], shares: Sequence[Share]) -> list[Found]:
    """What `call` finds for each share, in a process of its own, in the order of the shares."""
    with ProcessPoolExecutor(len(shares), mp_context=get_context("spawn")) as pool:
        return list(chain.from_iterable(pool.map(call, shares)))
