"""Family W: somebody's running count, with sentences that do not matter."""

from __future__ import annotations

from functools import partial

from factory.toy.draft import Draft
from factory.toy.operations import Given, Operation, Result, given

PEOPLE = ("Tom", "Ann", "Ben", "Mia", "Sam", "Eva", "Leo", "Zoe")
THINGS = ("apples", "books", "cards", "coins", "eggs", "pens", "shells", "stamps")
SHARES = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth"}
TIMES = {2: "twice", 3: "three times"}


def draft_word_problem(draft: Draft) -> None:
    """Start with a count, change it, then ask for it or for something made from it."""
    rng = draft.rng
    person, friend = rng.sample(PEOPLE, 2)
    thing, other = rng.sample(THINGS, 2)
    start = draft.operand()
    draft.sentences.append(f"{person} has {start} {thing}.")
    if rng.random() < 0.5:
        number = draft.operand()
        draft.sentences.append(f"{person} also has {number} {other}.")
        draft.note = Operation(operator="+", left=given(start), right=given(number))
    ending = rng.choice(("now", "now", "together", "piles", "price"))
    num_ending = {"now": 0, "together": 2, "piles": 1, "price": 1}[ending]
    count: Given | Result = given(start)
    while draft.room > num_ending:
        count = draft.attempt(partial(_event, draft, count, draft.room - num_ending))
    if draft.note is not None and rng.random() < 0.5:
        draft.sentences.append(draft.sentences.pop(1))
    _end(draft, count, ending, friend, thing)


def _event(draft: Draft, count: Given | Result, room: int) -> Result:
    kinds = ["buy", "lose", "double"]
    if room >= 2:
        kinds += ["boxes", "friends", "share"]
    kind = draft.rng.choice(kinds)
    number, factor = draft.operand(), draft.factor()
    if kind == "buy":
        draft.sentences.append(f"Then {number} more are bought.")
        return draft.add("+", count, number)
    if kind == "lose":
        draft.sentences.append(f"Then {number} are lost.")
        return draft.add("-", count, number)
    if kind == "double":
        draft.sentences.append("Then the number doubles.")
        return draft.add("*", count, 2)
    if kind == "boxes":
        each = max(2, number // 3)
        draft.sentences.append(f"Then {factor} boxes of {each} are bought.")
        return draft.add("+", count, draft.add("*", given(factor), each))
    if kind == "friends":
        each = max(2, number // 5)
        draft.sentences.append(f"Then {factor} friends get {each} each.")
        return draft.add("-", count, draft.add("*", given(factor), each))
    parts = draft.rng.choice(tuple(SHARES))
    draft.sentences.append(f"Then {SHARES[parts]} of them is given away.")
    return draft.add("-", count, draft.add("/", count, parts))


def _end(draft: Draft, count: Given | Result, ending: str, friend: str, thing: str) -> None:
    factor = draft.factor()
    if ending == "now":
        draft.sentences.append(f"How many {thing} are there now?")
    elif ending == "together":
        times = draft.rng.choice(tuple(TIMES))
        draft.add("+", count, draft.add("*", count, times))
        draft.sentences.append(
            f"{friend} has {TIMES[times]} as many. How many do they have together?"
        )
    elif ending == "piles":
        draft.add("/", count, factor)
        draft.sentences.append(f"They are put in piles of {factor}. How many piles are there?")
    else:
        draft.add("*", count, factor)
        draft.sentences.append(f"Each costs {factor} dollars. How many dollars is that?")
