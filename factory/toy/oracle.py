"""The truth about any written steps: is each one right, and is the prefix up to it still alive.

**True**: the step says something that follows from the problem and says it rightly. That is an
operation of the plan on its true inputs (in any order, sums and products either way round), a named
value, a check or note that the problem allows, or the right boxed answer. Right arithmetic on a
wrong number, or on numbers that nobody asked to combine, is false; so is anything outside the
dialect of `factory.toy.lines`.

**Alive**: whoever goes on from here faithfully, believing every step so far, reaches the right
answer and has nothing to take back. A false step stands for the operation it names, else for the
first one not done yet, and the prefix is dead for as long as the wrong value is still needed. A
false check or note changes no value and so kills nothing. Once an answer is boxed, alive means that
the last box is right.

**A repair** ("Wait, 14 + 36 = 50.") is judged as the line it corrects: true when the corrected line
is right. A true one brings the prefix back to life, because what it restates replaces the wrong
value and whatever was computed from that is to be done again. The false step stays false: the
first error of a repaired solution is the step that was repaired. A false repair puts a wrong value
in the place of the latest operation done with the same operator and second number, else of the
latest one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from factory.toy.lines import Calculation, Line, is_answer, read_answer, read_line
from factory.toy.operations import Operation, apply, read
from factory.toy.world import ToyProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTruth:
    """What is known of one step; see the module's first lines for the two words."""

    is_true: bool
    is_alive: bool


class Belief(Enum):
    """What a reader of the steps so far holds in a register."""

    NOTHING = 0
    RIGHT = 1
    WRONG = 2


def judge(problem: ToyProblem, steps: Sequence[str]) -> tuple[StepTruth, ...]:
    """One truth per step, for any text at all."""
    reader = _Reader(problem)
    return tuple(reader.take(step) for step in steps)


def first_error(truths: Sequence[StepTruth]) -> int | None:
    """The 0-based index of the first false step, repaired or not; None if all are true."""
    return next((i for i, truth in enumerate(truths) if not truth.is_true), None)


def calculation_of(operation: Operation, values: Sequence[Fraction]) -> Calculation:
    """The operation with its numbers filled in."""
    return Calculation(
        operator=operation.operator,
        left=read(operation.left, values),
        right=read(operation.right, values),
    )


def undo(calculation: Calculation, result: Fraction) -> Calculation | None:
    """The calculation that leads from the result back to `left`; None for a remainder."""
    inverse = {"+": "-", "-": "+", "*": "/", "/": "*"}.get(calculation.operator)
    if inverse is None or (inverse == "/" and not calculation.right):
        return None
    return Calculation(operator=inverse, left=result, right=calculation.right)


def is_same(one: Calculation, other: Calculation) -> bool:
    """Equal, or equal with the two numbers of a sum or product exchanged."""
    if one.operator != other.operator:
        return False
    straight = (one.left, one.right) == (other.left, other.right)
    return straight or (one.operator in "+*" and (one.left, one.right) == (other.right, other.left))


class _Reader:
    """Reads steps in order and keeps what a faithful reader would now believe."""

    def __init__(self, problem: ToyProblem) -> None:
        self.problem = problem
        self.right = [calculation_of(o, problem.values) for o in problem.plan]
        self.beliefs = [Belief.NOTHING] * len(problem.plan)
        self.is_answer_right: bool | None = None
        self.latest: int | None = None

    def take(self, step: str) -> StepTruth:
        if is_answer(step):
            self.is_answer_right = read_answer(step) == self.problem.value
            return StepTruth(is_true=self.is_answer_right, is_alive=self.is_answer_right)
        line = read_line(step)
        if line is not None and line.mark in ("Check:", "Note:"):
            return StepTruth(is_true=self._is_allowed_aside(line), is_alive=self.is_alive)
        index = self._operation_done_by(line)
        if index is not None:
            self._believe_rightly(index)
        else:
            self._believe_wrongly(self._operation_meant_by(line), line)
        return StepTruth(is_true=index is not None, is_alive=self.is_alive)

    @property
    def is_alive(self) -> bool:
        if self.is_answer_right is not None:
            return self.is_answer_right
        needed = {len(self.beliefs) - 1}
        for operation, belief in zip(self.problem.plan, self.beliefs, strict=True):
            if belief is Belief.NOTHING:
                needed.update(operation.inputs)
        return all(self.beliefs[i] is not Belief.WRONG for i in needed)

    def _operation_done_by(self, line: Line | None) -> int | None:
        """The plan's operation that a true line carries out; undone ones come first."""
        if line is None:
            return None
        done = [i for i in range(len(self.right)) if self._carries_out(line, i)]
        return min(done, key=lambda i: (self.beliefs[i] is Belief.RIGHT, i), default=None)

    def _carries_out(self, line: Line, index: int) -> bool:
        operation, value = self.problem.plan[index], self.problem.values[index]
        if line.result != value or line.name not in (None, operation.name):
            return False
        return line.calculation is None or is_same(line.calculation, self.right[index])

    def _operation_meant_by(self, line: Line | None) -> int:
        """The operation that a false line stands for."""
        names = [o.name for o in self.problem.plan]
        if line is not None and line.name is not None and line.name in names:
            return names.index(line.name)
        if line is not None and line.mark == "Wait," and self.latest is not None:
            return self._operation_restated_by(line, self.latest)
        if Belief.NOTHING in self.beliefs:
            return self.beliefs.index(Belief.NOTHING)
        return len(self.beliefs) - 1

    def _operation_restated_by(self, line: Line, latest: int) -> int:
        """The latest operation done with the same operator and second number, else the latest."""
        for index in range(latest, -1, -1):
            c = self.right[index]
            if line.calculation and (c.operator, c.right) == (
                line.calculation.operator,
                line.calculation.right,
            ):
                return index
        return latest

    def _believe_rightly(self, index: int) -> None:
        """What was computed from the old value is to be done again, what led here need not be."""
        if self.beliefs[index] is Belief.WRONG:
            self._forget_what_follows(index)
        self.beliefs[index] = Belief.RIGHT
        self.latest = index
        for earlier in self.problem.plan[index].inputs:
            self._assume_done(earlier)

    def _believe_wrongly(self, index: int, line: Line | None) -> None:
        """A wrong way to the right value leaves the right value."""
        is_value_right = line is not None and line.result == self.problem.values[index]
        self.beliefs[index] = Belief.RIGHT if is_value_right else Belief.WRONG
        self.latest = index

    def _forget_what_follows(self, index: int) -> None:
        stale = {index}
        for later, operation in enumerate(self.problem.plan):
            if stale.intersection(operation.inputs):
                stale.add(later)
                self.beliefs[later] = Belief.NOTHING

    def _assume_done(self, index: int) -> None:
        if self.beliefs[index] is Belief.NOTHING:
            self.beliefs[index] = Belief.RIGHT
            for earlier in self.problem.plan[index].inputs:
                self._assume_done(earlier)

    def _is_allowed_aside(self, line: Line) -> bool:
        problem = self.problem
        if line.calculation is None:
            return self._operation_done_by(line) is not None
        allowed: list[tuple[Calculation, Fraction | None]]
        allowed = list(zip(self.right, problem.values, strict=True))
        for calculation, value in zip(self.right, problem.values, strict=True):
            if (undone := undo(calculation, value)) is not None:
                allowed.append((undone, calculation.left))
        if problem.note is not None and line.name in (None, problem.note.name):
            note = calculation_of(problem.note, problem.values)
            allowed.append((note, apply(note.operator, note.left, note.right)))
        return any(is_same(line.calculation, c) and line.result == v for c, v in allowed)
