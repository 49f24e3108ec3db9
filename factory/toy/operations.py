"""A problem's plan: small operations on registers, run with whatever the solver believes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

OPERATORS = ("+", "-", "*", "/", "mod")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A number the question states."""

    value: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What operation `index` of the plan came to."""

    index: int


Operand = Given | Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One step of the plan. `name` is what an equation calls the result ("4x"), None elsewhere."""

    operator: str
    left: Operand
    right: Operand
    name: str | None = None

    @property
    def inputs(self) -> tuple[int, ...]:
        """The operations whose results this one reads."""
        return tuple(o.index for o in (self.left, self.right) if isinstance(o, Result))


def given(value: int | Fraction) -> Given:
    return Given(value=Fraction(value))


def apply(operator: str, left: Fraction, right: Fraction) -> Fraction | None:
    """The exact value, or None where there is none (division or remainder by zero)."""
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/":
        return left / right if right else None
    if operator == "mod":
        return left % right if right else None
    raise ValueError(f"unknown operator {operator!r}; known: {', '.join(OPERATORS)}")


def read(operand: Operand, registers: Sequence[Fraction]) -> Fraction:
    """The operand's value when the registers hold what they hold."""
    return operand.value if isinstance(operand, Given) else registers[operand.index]


def run(plan: Sequence[Operation]) -> tuple[Fraction, ...] | None:
    """What every operation truly comes to; None where one has no value."""
    registers: list[Fraction] = []
    for operation in plan:
        value = apply(
            operation.operator, read(operation.left, registers), read(operation.right, registers)
        )
        if value is None:
            return None
        registers.append(value)
    return tuple(registers)
