"""Family M: a machine that does one thing after another to a number, remainders included."""

from __future__ import annotations

from functools import partial

from factory.toy.draft import Draft
from factory.toy.operations import Given, Operation, Result, given


def draft_number_machine(draft: Draft) -> None:
    """Feed a start number; a second machine may be mentioned that does not matter."""
    rng = draft.rng
    start = draft.operand() + draft.operand()
    value: Given | Result = given(start)
    draft.sentences.append(f"A machine starts with {start}.")
    if rng.random() < 0.4:
        number = draft.operand()
        draft.sentences.append(f"Another machine adds {number} to {start}.")
        draft.note = Operation(operator="+", left=given(start), right=given(number))
    while draft.room > 0:
        value = draft.attempt(partial(_part, draft, value, given(start)))
    draft.sentences.append("What comes out?")


def _part(draft: Draft, value: Given | Result, start: Given) -> Result:
    kind = draft.rng.choice(("add", "subtract", "multiply", "multiply", "mod", "start"))
    number, factor = draft.operand(), draft.factor()
    if kind == "add":
        draft.sentences.append(f"Add {number}.")
        return draft.add("+", value, number)
    if kind == "subtract":
        draft.sentences.append(f"Subtract {number}.")
        return draft.add("-", value, number)
    if kind == "multiply":
        draft.sentences.append(f"Multiply by {factor}.")
        return draft.add("*", value, factor)
    if kind == "mod":
        modulus = draft.rng.randint(3, 4 + draft.level)
        draft.sentences.append(f"Take it mod {modulus}.")
        return draft.add("mod", value, modulus)
    draft.sentences.append("Add the start number.")
    return draft.add("+", value, start)
