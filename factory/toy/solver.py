"""Written solutions for training: right ones, wrong ones, and the record of what went wrong.

A solution is run on the registers the solver believes, so that an injected mistake carries on by
itself. `WrittenStep.untaught` is the part of a step that a model must not learn to write.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from random import Random

from factory.toy.lines import Calculation, Line, write_answer, write_line
from factory.toy.operations import apply
from factory.toy.oracle import calculation_of, is_same, undo
from factory.toy.world import ToyProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How often a solver errs, notices its error, and writes what is true but useless."""

    error_rate: float = 0.10
    repair_rate: float = 0.30
    detour_rate: float = 0.08


HUMAN = Habits()
FLAWLESS = Habits(error_rate=0.0, repair_rate=0.0, detour_rate=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenStep:
    """One step with its truth on record; `untaught` is a range of characters, or None."""

    text: str
    is_true: bool
    is_alive: bool
    is_mistake: bool = False
    untaught: tuple[int, int] | None = None


def write_solution(problem: ToyProblem, seed: int, habits: Habits = HUMAN) -> list[WrittenStep]:
    """A solution in the dialect of `factory.toy.lines`; the same for the same arguments."""
    rng = Random(f"toy solution {problem.family} {problem.level} {problem.seed} {seed}")
    return list(_Solver(problem, rng, habits).steps())


class _Solver:
    def __init__(self, problem: ToyProblem, rng: Random, habits: Habits) -> None:
        self.problem = problem
        self.rng = rng
        self.habits = habits
        self.right = [calculation_of(o, problem.values) for o in problem.plan]
        self.believed: list[Fraction] = []
        self.has_noted = False

    def steps(self) -> Iterator[WrittenStep]:
        unrepaired: int | None = None
        while len(self.believed) < len(self.problem.plan):
            index = len(self.believed)
            is_mistake = self.rng.random() < self.habits.error_rate
            yield self._mistake(index) if is_mistake else self._honest(index)
            if unrepaired is not None:
                yield self._repair(unrepaired)
                unrepaired = None
            elif is_mistake and self.rng.random() < self.habits.repair_rate:
                kind = self.rng.choice(("at once", "at once", "checked", "later"))
                if kind == "later" and index + 1 < len(self.problem.plan):
                    unrepaired = index
                    continue
                if kind == "checked":
                    yield from self._check(index)
                yield self._repair(index)
            elif self.rng.random() < self.habits.detour_rate:
                yield from self._detour(index)
        value = self.believed[-1]
        is_right = value == self.problem.value
        yield WrittenStep(text=write_answer(value), is_true=is_right, is_alive=is_right)

    def _honest(self, index: int, mark: str | None = None) -> WrittenStep:
        """Carry out operation `index` on what is believed."""
        calculation = calculation_of(self.problem.plan[index], self.believed)
        return self._write(index, calculation, self._value(calculation), mark)

    def _repair(self, index: int) -> WrittenStep:
        """Say again what operation `index` comes to, and forget what was made from it."""
        del self.believed[index:]
        return self._honest(index, "Wait,")

    def _mistake(self, index: int) -> WrittenStep:
        """Slip in the result, or calculate the wrong thing rightly; never true by accident."""
        honest = calculation_of(self.problem.plan[index], self.believed)
        while True:
            calculation, result = honest, self._value(honest)
            is_slip = self.rng.random() < 0.6
            if is_slip:
                result = _slip(result, self.rng)
            else:
                calculation = self._misread(honest)
                result = self._value(calculation)
            if result != self._value(honest) and not self._is_right(calculation, result):
                break
        step = self._write(index, calculation, result, None)
        end = len(step.text) - len(f" = {result}.")
        start = end - len(f" {calculation.operator} {calculation.right}")
        untaught = (end + 2, len(step.text) - 1) if is_slip else (start, end)
        return WrittenStep(
            text=step.text,
            is_true=False,
            is_alive=step.is_alive,
            is_mistake=True,
            untaught=untaught,
        )

    def _misread(self, honest: Calculation) -> Calculation:
        """The wrong operator, or a number of the question that does not belong here."""
        note = self.problem.note
        if note is not None and self.rng.random() < 0.5:
            distractor = calculation_of(note, self.problem.values).right
            return Calculation(operator=honest.operator, left=honest.left, right=distractor)
        operators = {"+": "-*", "-": "+", "*": "+", "/": "*-", "mod": "-"}[honest.operator]
        return Calculation(
            operator=self.rng.choice(operators), left=honest.left, right=honest.right
        )

    def _detour(self, index: int) -> Iterator[WrittenStep]:
        note = self.problem.note
        is_noted = note is None or self.has_noted or any(i > index for i in note.inputs)
        if is_noted or self.rng.random() < 0.5:
            yield from self._check(index)
            return
        assert note is not None
        self.has_noted = True
        calculation = calculation_of(note, self.believed)
        is_true = calculation == calculation_of(note, self.problem.values)
        yield self._aside("Note:", note.name, calculation, is_true)

    def _check(self, index: int) -> Iterator[WrittenStep]:
        """Undo the last operation; nothing where that takes numbers strange to the problem."""
        done = calculation_of(self.problem.plan[index], self.believed)
        check = undo(done, self.believed[index])
        if check is None or (self.problem.family != "E" and self._exact(check).denominator != 1):
            return
        is_true = done == self.right[index] and self.believed[index] == self.problem.values[index]
        yield self._aside("Check:", None, check, is_true)

    def _aside(
        self, mark: str, name: str | None, calculation: Calculation, is_true: bool
    ) -> WrittenStep:
        result = self._value(calculation)
        line = Line(mark=mark, name=name, calculation=calculation, result=result)
        return WrittenStep(text=write_line(line), is_true=is_true, is_alive=self._is_alive())

    def _write(
        self, index: int, calculation: Calculation, result: Fraction, mark: str | None
    ) -> WrittenStep:
        self.believed.append(result)
        name = self.problem.plan[index].name
        line = Line(mark=mark, name=name, calculation=calculation, result=result)
        is_true = calculation == self.right[index] and result == self.problem.values[index]
        return WrittenStep(text=write_line(line), is_true=is_true, is_alive=self._is_alive())

    def _is_alive(self) -> bool:
        """Whether every believed value that is still needed is right."""
        num_done = len(self.believed)
        needed = {i for o in self.problem.plan[num_done:] for i in o.inputs if i < num_done}
        if num_done == len(self.problem.plan):
            needed.add(num_done - 1)
        return all(self.believed[i] == self.problem.values[i] for i in needed)

    def _is_right(self, calculation: Calculation, result: Fraction) -> bool:
        facts = zip(self.right, self.problem.values, strict=True)
        return any(is_same(calculation, c) and result == v for c, v in facts)

    def _exact(self, calculation: Calculation) -> Fraction:
        value = apply(calculation.operator, calculation.left, calculation.right)
        assert value is not None, f"no value: {calculation}"
        return value

    def _value(self, calculation: Calculation) -> Fraction:
        """Exact in E; in W and M a mistake can make a share uneven, and the rest is dropped."""
        value = self._exact(calculation)
        return value if self.problem.family == "E" else Fraction(floor(value))


def _slip(value: Fraction, rng: Random) -> Fraction:
    """Off by a little, by ten, or with digits exchanged; in a fraction one of the two terms."""
    if value.denominator != 1 and rng.random() < 0.5:
        return Fraction(value.numerator, max(1, value.denominator + rng.choice((-1, 1, 2))))
    number = value.numerator
    digits = str(abs(number))
    if len(digits) > 1 and rng.random() < 0.25:
        number = int(digits[::-1]) * (1 if number > 0 else -1)
    else:
        number += rng.choice((-10, -2, -1, 1, 2, 10))
    if value >= 0 and number < 0:
        number = abs(number)
    return Fraction(number, value.denominator)
