"""Samples for training tiny models: written ahead by another process, cut into small batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context
from random import Random
from typing import Protocol, TypeVar

import torch

from factory.toy.samples import CHUNK_TOKENS

BATCH_TOKENS = 1024
"""Padding included: small batches matter most at this size."""


class HasIds(Protocol):
    """A sample; its token ids say how long it is."""

    @property
    def ids(self) -> Sequence[int]: ...


SampleT = TypeVar("SampleT", bound=HasIds)


def endless_groups(
    write: Callable[[int, float], list[SampleT]], *, num_tokens: int, seed: int
) -> Iterator[list[SampleT]]:
    """Groups of samples of like length, a batch each, without end.

    `write` makes the samples of a chunk, from its index and the progress from 0 to 1 that
    `num_tokens` of training have made by then. It is sent to another process, which writes the next
    chunk meanwhile. The same seed gives the same groups in the same order.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as writer:

        def order(index: int) -> Future[list[SampleT]]:
            return writer.submit(write, index, min(1.0, index * CHUNK_TOKENS / num_tokens))

        coming = order(0)
        for index in count():
            samples, coming = coming.result(), order(index + 1)
            yield from cut(samples, Random(f"toy batches {seed} {index}"))


def cut(samples: Sequence[SampleT], rng: Random) -> list[list[SampleT]]:
    """The samples by length, as many together as a batch holds, the groups in random order."""
    groups: list[list[SampleT]] = [[]]
    for sample in sorted(samples, key=lambda s: len(s.ids)):
        if groups[-1] and (len(groups[-1]) + 1) * len(sample.ids) > BATCH_TOKENS:
            groups.append([])
        groups[-1].append(sample)
    rng.shuffle(groups)
    return groups


def padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    """The rows under one another, filled up with `value` on the right: (rows, longest)."""
    length = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (length - len(row))] for row in rows])
