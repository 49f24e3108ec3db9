"""What programs count while they work, for whoever watches: a program says `count(rounds=1)`.

A program knows neither Ray nor a worker. Whoever runs it opens a sum with `counting()`; what it
and the tasks it starts count from then on goes there, and nowhere where nobody opened one.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramCounts:
    """Sums over the groups worked on, those of groups that failed later among them."""

    num_rollouts: int = 0
    """Completions that were graded, samples of the generator too."""
    num_ungraded: int = 0
    """Of these, without a verdict that is decided."""
    num_grader_timeouts: int = 0
    """Of these, because comparing the answer took too long."""
    num_rounds: int = 0
    """Plans that were carried out, over all solutions."""
    num_steps: int = 0
    """Steps of solutions whose rollouts are complete."""
    num_undecided: int = 0
    """Of these, without a label or without one that the recipe calls decided."""
    num_code_runs: int = 0
    """Blocks of a teacher's code that were executed."""
    num_code_timeouts: int = 0
    num_code_stopped: int = 0
    """Of these, ended by another limit: memory, output, a forbidden call."""


_NAMES = frozenset(field.name.removeprefix("num_") for field in fields(ProgramCounts))
_SUMS: ContextVar[Counter[str] | None] = ContextVar("sums", default=None)


def count(**more: int) -> None:
    """Adds to the sums of whoever is counting; names are those of ProgramCounts without `num_`."""
    assert more.keys() <= _NAMES, f"nobody counts {sorted(more.keys() - _NAMES)}"
    if (sums := _SUMS.get()) is not None:
        sums.update(more)


@contextmanager
def counting(sums: Counter[str]) -> Iterator[None]:
    """What the body counts, and every task it starts, is added to `sums`."""
    token = _SUMS.set(sums)
    try:
        yield
    finally:
        _SUMS.reset(token)


def program_counts(sums: Counter[str]) -> ProgramCounts:
    """A snapshot."""
    return ProgramCounts(**{f"num_{name}": number for name, number in sums.items()})
