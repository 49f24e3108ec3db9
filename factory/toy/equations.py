"""Family E: a linear equation, then a chain of fractions made from its solution."""

from __future__ import annotations

from factory.toy.draft import Draft
from factory.toy.operations import Operation, given

CHAIN = "yzwvts"


def draft_equation(draft: Draft) -> None:
    """a x + b = c, then y from x, z from y, ...; a side remark may define u, which nobody needs."""
    rng = draft.rng
    low, high = {1: (2, 5), 2: (2, 5), 3: (2, 6), 4: (2, 6), 5: (2, 8), 6: (3, 9)}[draft.level]
    factor, shift = rng.randint(low, high), rng.randint(1, 12 + 4 * draft.level)
    rest = factor * rng.randint(2, 9) if draft.level == 1 else rng.randint(2, 8 * draft.level)
    is_plus = rng.random() < 0.6
    total = rest + shift if is_plus else rest - shift
    draft.sentences.append(f"Solve {factor}x {'+' if is_plus else '-'} {shift} = {total}.")
    scaled = draft.add("-" if is_plus else "+", given(total), shift, f"{factor}x")
    value = draft.add("/", scaled, factor, "x")
    if rng.random() < 0.4:
        number = rng.randint(2, 9)
        draft.sentences.append(f"Let u = x + {number}.")
        draft.note = Operation(operator="+", left=value, right=given(number), name="u")
    previous = "x"
    while draft.room > 0:
        name = CHAIN[len(draft.plan) - 2]
        operator = rng.choice("/+-*")
        number = rng.randint(2, 3 if operator in "/*" else 3 + draft.level)
        draft.sentences.append(f"Let {name} = {previous} {operator} {number}.")
        value = draft.add(operator, value, number, name)
        previous = name
    draft.sentences.append(f"What is {previous}?")
