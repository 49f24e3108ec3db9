"""A problem being invented: its sentences, its plan and how large its numbers may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random

from factory.toy.operations import Given, Operation, Result, given, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a level's numbers are. `largest` bounds every true value on the way."""

    operands: tuple[int, int]
    factors: tuple[int, int]
    largest: int


SIZES = {
    1: Size(operands=(2, 9), factors=(2, 3), largest=30),
    2: Size(operands=(2, 15), factors=(2, 4), largest=50),
    3: Size(operands=(3, 30), factors=(2, 5), largest=100),
    4: Size(operands=(4, 50), factors=(2, 6), largest=160),
    5: Size(operands=(6, 80), factors=(2, 9), largest=300),
    6: Size(operands=(12, 200), factors=(3, 9), largest=999),
}


MAX_REDRAWS = 30


@dataclass(slots=True, kw_only=True)
class Draft:
    """Mutable scratch space of one family's generator; frozen into a `ToyProblem` at the end."""

    rng: Random
    level: int
    num_operations: int
    sentences: list[str] = field(default_factory=list)
    plan: list[Operation] = field(default_factory=list)
    note: Operation | None = None

    @property
    def room(self) -> int:
        """How many operations are still to be planned."""
        return self.num_operations - len(self.plan)

    def operand(self) -> int:
        return self.rng.randint(*SIZES[self.level].operands)

    def factor(self) -> int:
        return self.rng.randint(*SIZES[self.level].factors)

    def add(
        self,
        operator: str,
        left: Given | Result,
        right: int | Fraction | Given | Result,
        name: str | None = None,
    ) -> Result:
        """Plan one more operation and return its register."""
        right = right if isinstance(right, (Given, Result)) else given(right)
        self.plan.append(Operation(operator=operator, left=left, right=right, name=name))
        return Result(index=len(self.plan) - 1)

    def attempt(self, event: Callable[[], Result]) -> Result:
        """Add the event's sentences and operations, drawn again while a number gets out of hand."""
        num_sentences, num_planned = len(self.sentences), len(self.plan)
        result = event()
        for _ in range(MAX_REDRAWS):
            values = run(self.plan)
            if values is not None and is_modest(values[num_planned:], self.level):
                break
            del self.sentences[num_sentences:], self.plan[num_planned:]
            result = event()
        return result


def is_modest(values: Sequence[Fraction], level: int) -> bool:
    """Whole, positive and no larger than the level allows."""
    largest = SIZES[level].largest
    return all(v.denominator == 1 and 1 <= v <= largest for v in values)


def num_operations(rng: Random, level: int) -> int:
    """Two operations at level 1, six or seven from level 5; the answer line comes on top."""
    return 7 if level > 5 else level + 1 + (rng.random() < 0.5 if level == 5 else 0)
