"""Solutions with replaced places, made by the generator: what the PRM backbone learns to detect.

A solution is run on the registers its writer believes, as in `factory.toy.solver`. A line keeps,
beside what is written, what an honest writer who believes the same would have written, so the
replaced place is known exactly: it begins at the first token where the two differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from random import Random

from factory.toy.lines import Calculation, Line, write_answer, write_line
from factory.toy.operations import OPERATORS, apply
from factory.toy.oracle import calculation_of, undo
from factory.toy.world import ToyProblem

SMALL_SHIFTS = (1, 2, 3, 4, 5, 6, 8, 9)
LARGE_SHIFTS = (10, 10, 10, 20, 50, 100)
PLACES = {"result": 0.62, "left": 0.09, "right": 0.11, "operator": 0.08, "operation": 0.10}


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLine:
    """A line as it stands, and as an honest writer with the same beliefs would have put it."""

    text: str
    honest: str

    @property
    def is_replaced(self) -> bool:
        return self.text != self.honest


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How often, per line: something is replaced, a true aside is put in, the last line repeated.

    Of replaced results `carry` are believed from then on; the others are forgotten at once, so that
    the next line disagrees with what was written.
    """

    replaced: float = 0.2
    aside: float = 0.08
    again: float = 0.05
    carry: float = 0.8


def write_corrupted(problem: ToyProblem, rng: Random, rates: Rates) -> list[WrittenLine]:
    """A solution of the problem in the dialect of `factory.toy.lines`, answer line included."""
    return list(_Writer(problem, rng, rates).lines())


def replace_number(number: Fraction, rng: Random, modulus: Fraction | None = None) -> Fraction:
    """Another number that could be mistaken for it; a residue of `modulus` where one is given."""
    while True:
        other = _another(number, rng, modulus)
        if other != number and not (other < 0 <= number and rng.random() < 0.8):
            return other


def _another(number: Fraction, rng: Random, modulus: Fraction | None) -> Fraction:
    top, bottom = number.numerator, number.denominator
    if modulus is not None and rng.random() < 0.9:
        return Fraction(rng.randrange(max(2, int(modulus))))
    kind = rng.random()
    if kind < 0.35:
        return Fraction(top + rng.choice((-1, 1)) * rng.choice(SMALL_SHIFTS), bottom)
    if kind < 0.55:
        return Fraction(top + rng.choice((-1, 1)) * rng.choice(LARGE_SHIFTS), bottom)
    if kind < 0.75:
        return Fraction(_replace_digit(top, rng), bottom)
    if bottom == 1:
        return Fraction(int(str(abs(top))[::-1]) * (1 if top > 0 else -1))
    if kind < 0.88:
        return number + rng.choice((-1, 1)) * rng.choice((1, 1, 1, 2, 3, 5, 10))
    if kind < 0.94:
        return Fraction(floor(number) + rng.choice((0, 1)))
    return Fraction(top, max(1, bottom + rng.choice((-2, -1, 1, 2))))


def _replace_digit(number: int, rng: Random) -> int:
    digits = list(str(abs(number)))
    digits[rng.randrange(len(digits))] = rng.choice("0123456789")
    return int("".join(digits)) * (-1 if number < 0 else 1)


class _Writer:
    def __init__(self, problem: ToyProblem, rng: Random, rates: Rates) -> None:
        self.problem = problem
        self.rng = rng
        self.rates = rates
        self.believed: list[Fraction] = []

    def lines(self) -> Iterator[WrittenLine]:
        has_noted = False
        for index, operation in enumerate(self.problem.plan):
            yield self._operation(index)
            if self.rng.random() < self.rates.again:
                yield self._again(index)
            elif self.rng.random() < self.rates.aside:
                note = self.problem.note
                is_noted = note is None or has_noted or any(i > index for i in note.inputs)
                if not is_noted and self.rng.random() < 0.5:
                    assert note is not None
                    has_noted = True
                    yield self._aside("Note:", note.name, calculation_of(note, self.believed))
                    continue
                done = calculation_of(operation, self.believed)
                check = undo(done, self.believed[index])
                if check is not None and (self._is_exact or _is_whole(check)):
                    yield self._aside("Check:", None, check)
        yield self._answer()

    @property
    def _is_exact(self) -> bool:
        return self.problem.family == "E"

    def _operation(self, index: int) -> WrittenLine:
        operation = self.problem.plan[index]
        calculation = calculation_of(operation, self.believed)
        value = self._value(calculation)
        honest = Line(name=operation.name, calculation=calculation, result=value)
        if self.rng.random() >= self.rates.replaced:
            self.believed.append(value)
            return _line(honest, honest)
        written = self._replace(honest, index)
        is_carried = self.rng.random() < self.rates.carry
        self.believed.append(written.result if is_carried else value)
        return _line(written, honest)

    def _again(self, index: int) -> WrittenLine:
        """The last operation once more: "Wait, 14 + 36 = 50." where nothing is amiss."""
        operation = self.problem.plan[index]
        calculation = calculation_of(operation, self.believed)
        honest = Line(
            mark="Wait,",
            name=operation.name,
            calculation=calculation,
            result=self._value(calculation),
        )
        if self.rng.random() >= self.rates.replaced:
            self.believed[index] = honest.result
            return _line(honest, honest)
        written = self._replace(honest, index)
        self.believed[index] = written.result
        return _line(written, honest)

    def _aside(self, mark: str, name: str | None, calculation: Calculation) -> WrittenLine:
        honest = Line(
            mark=mark, name=name, calculation=calculation, result=self._value(calculation)
        )
        if self.rng.random() >= self.rates.replaced:
            return _line(honest, honest)
        return _line(replace_result(honest, self.rng), honest)

    def _answer(self) -> WrittenLine:
        honest = self.believed[-1]
        written = honest
        if self.rng.random() < self.rates.replaced / 2:
            near = [b for b in self.believed if b != honest]
            is_near = near and self.rng.random() < 0.5
            written = self.rng.choice(near) if is_near else replace_number(honest, self.rng)
        return WrittenLine(text=write_answer(written), honest=write_answer(honest))

    def _replace(self, honest: Line, index: int) -> Line:
        """Another line in the place of the honest one."""
        while True:
            place = self.rng.choices(list(PLACES), list(PLACES.values()))[0]
            written = self._replace_at(place, honest, index)
            if written is not None and written != honest:
                return written

    def _replace_at(self, place: str, honest: Line, index: int) -> Line | None:
        calculation = honest.calculation
        assert calculation is not None
        left, operator, right = calculation.left, calculation.operator, calculation.right
        name = honest.name
        if place == "result":
            return replace_result(honest, self.rng)
        if place == "left":
            left = self._strange_number(left)
        elif place == "right":
            right = self._strange_number(right)
        elif place == "operator":
            operator = self.rng.choice(OPERATORS)
        else:
            other = self.rng.randrange(max(0, index - 1), min(index + 3, len(self.problem.plan)))
            taken = self.problem.plan[other]
            if any(i >= len(self.believed) for i in taken.inputs if i != other - 1):
                return None
            known = [*self.believed, *[left] * len(self.problem.plan)]
            stranger = calculation_of(taken, known)
            left, operator, right = stranger.left, stranger.operator, stranger.right
            name = taken.name if self.rng.random() < 0.5 else name
        strange = Calculation(left=left, operator=operator, right=right)
        if right == 0 and operator in ("/", "mod"):
            return None
        is_redone = self.rng.random() < 0.8
        result = self._value(strange) if is_redone else honest.result
        return Line(mark=honest.mark, name=name, calculation=strange, result=result)

    def _strange_number(self, number: Fraction) -> Fraction:
        """A number of the question, a believed one, or a slip of the pen."""
        around = [calculation_of(o, self.problem.values).right for o in self.problem.plan]
        around += [*self.believed]
        if self.problem.note is not None:
            around.append(calculation_of(self.problem.note, self.problem.values).right)
        others = [n for n in around if n != number]
        if others and self.rng.random() < 0.6:
            return self.rng.choice(others)
        return replace_number(number, self.rng)

    def _value(self, calculation: Calculation) -> Fraction:
        """Exact in E; elsewhere a mistake can make a share uneven, and the rest is dropped."""
        value = apply(calculation.operator, calculation.left, calculation.right)
        if value is None:
            return Fraction(0)
        return value if self._is_exact else Fraction(floor(value))


def replace_result(honest: Line, rng: Random) -> Line:
    """The same line with another result."""
    calculation = honest.calculation
    is_residue = calculation is not None and calculation.operator == "mod"
    modulus = calculation.right if calculation is not None and is_residue else None
    if calculation is not None and calculation.operator == "*" and rng.random() < 0.3:
        times = rng.choice((-2, -1, 1, 2)) * rng.choice((calculation.right, Fraction(10)))
        result = honest.result + times
    else:
        result = replace_number(honest.result, rng, modulus)
    return Line(mark=honest.mark, name=honest.name, calculation=calculation, result=result)


def write_drill(problems: Sequence[ToyProblem], rng: Random, replaced: float) -> list[WrittenLine]:
    """Bare operations such as these problems contain, on numbers shifted a little."""
    lines: list[WrittenLine] = []
    for problem in problems:
        for operation in problem.plan:
            exact = calculation_of(operation, problem.values)
            step = exact.right if exact.operator == "/" and problem.family != "E" else 1
            left = exact.left + rng.randint(-9, 9) * step
            left = left if problem.family == "E" else abs(left)
            calculation = Calculation(operator=exact.operator, left=left, right=exact.right)
            value = apply(calculation.operator, calculation.left, calculation.right)
            assert value is not None
            honest = Line(name=operation.name, calculation=calculation, result=value)
            is_replaced = rng.random() < replaced
            lines.append(_line(replace_result(honest, rng) if is_replaced else honest, honest))
    return lines


def _line(written: Line, honest: Line) -> WrittenLine:
    return WrittenLine(text=write_line(written), honest=write_line(honest))


def _is_whole(calculation: Calculation) -> bool:
    value = apply(calculation.operator, calculation.left, calculation.right)
    return value is not None and value.denominator == 1
