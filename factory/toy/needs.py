"""What a problem needs where a step stands, in words and as Python, for as long as steps are true.

The critic's side of `factory.toy.oracle`: the same reading of plans and lines, but it names what
should have been written. A true step needs what it says. A false one is held against the operation
it stands for; a false check or note for which there is nothing to undo or to remark is held against
the next operation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from factory.toy.lines import Calculation, Line, is_answer, read_answer, read_line
from factory.toy.operations import Operand, Operation, Result, apply, read
from factory.toy.oracle import StepTruth, calculation_of, is_same, undo
from factory.toy.world import ToyProblem

KINDS = ("step", "repair", "check", "note", "answer")
_IN_PYTHON = {"mod": "%", "/": "//"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one step should have come to, beside what it claims.

    `words` and `code` are the same expression; `claim` is None where a step says nothing that can
    be read. `is_same_way` is whether the step makes the calculation it should.
    """

    kind: str
    name: str | None
    words: str
    code: str
    value: Fraction
    claim: Fraction | None
    is_same_way: bool
    is_true: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    calculation: Calculation
    words: str
    code: str
    name: str | None = None
    index: int | None = None

    @property
    def value(self) -> Fraction:
        value = apply(self.calculation.operator, self.calculation.left, self.calculation.right)
        assert value is not None, f"no value: {self.words}"
        return value


def needs(problem: ToyProblem, steps: Sequence[str], truths: Sequence[StepTruth]) -> Iterator[Need]:
    """One need per step, up to and with the first false one."""
    reader = _Reader(problem)
    for step, truth in zip(steps, truths, strict=True):
        yield reader.take(step, truth.is_true)
        if not truth.is_true:
            return


def write_number(value: Fraction | None, family: str) -> str:
    """The number as Python: whole, else F(a, b) in E; None where there is none."""
    if value is None or value.denominator == 1:
        return str(value)
    return f"F({value.numerator}, {value.denominator})" if family == "E" else f"{value}"


class _Reader:
    """Keeps which operations the steps so far, all of them true, have done."""

    def __init__(self, problem: ToyProblem) -> None:
        self.problem = problem
        self.done: set[int] = set()
        self.latest: int | None = None

    def take(self, step: str, is_true: bool) -> Need:
        line = None if is_answer(step) else read_line(step)
        wanted = self._wanted(step, line, is_true)
        if is_true and not (line and line.mark in ("Check:", "Note:")):
            assert wanted.index is not None, f"a true step outside the plan: {step}"
            self._assume_done(wanted.index)
            self.latest = wanted.index
        return Need(
            kind=_kind(step, line),
            name=wanted.name,
            words=wanted.words,
            code=wanted.code,
            value=wanted.value,
            claim=read_answer(step) if line is None else line.result,
            is_same_way=is_true or is_answer(step) or _is_same_way(line, wanted),
            is_true=is_true,
        )

    def _wanted(self, step: str, line: Line | None, is_true: bool) -> _Wanted:
        if is_answer(step):
            return self._operation(len(self.problem.plan) - 1)
        candidates = self._candidates(line)
        if not is_true:
            return candidates[0]
        assert line is not None, f"a true step outside the dialect: {step}"
        same = [w for w in candidates if _is_same_way(line, w) and w.value == line.result]
        if line.mark and line.calculation:
            c = line.calculation
            same += [w for w in candidates if is_same(c, w.calculation) and w.value == line.result]
        assert same, f"nothing needs the true step {step}"
        return same[0]

    def _candidates(self, line: Line | None) -> list[_Wanted]:
        """What the step may stand for; where it is false, the first."""
        indices = range(len(self.problem.plan))
        plan = [self._operation(i) for i in sorted(indices, key=lambda i: (i in self.done, i))]
        if line is not None and line.mark == "Check:":
            return [*self._undone(), *plan, *self._note()]
        if line is not None and line.mark == "Note:":
            return [*self._note(), *plan, *self._undone()]
        meant = self._meant_by(line)
        return plan if meant is None else [self._operation(meant), *plan]

    def _meant_by(self, line: Line | None) -> int | None:
        """The operation that a false line names or restates; None is the next one."""
        names = [o.name for o in self.problem.plan]
        if line is None:
            return None
        if line.name is not None and line.name in names:
            return names.index(line.name)
        if line.mark != "Wait," or self.latest is None:
            return None if len(self.done) < len(names) else len(names) - 1
        for index in range(self.latest, -1, -1):
            right = calculation_of(self.problem.plan[index], self.problem.values)
            c = line.calculation
            if c and (c.operator, c.right) == (right.operator, right.right):
                return index
        return self.latest

    def _undone(self) -> list[_Wanted]:
        """What leads back from each result, the latest first; the next operation for a remainder"""
        indices = range(len(self.problem.plan))
        wanted = []
        for index in sorted(indices, key=lambda i: (i != self.latest, i not in self.done, i)):
            right = calculation_of(self.problem.plan[index], self.problem.values)
            back = undo(right, self.problem.values[index])
            if back is not None:
                wanted.append(self._plain(back))
            elif index == self.latest:
                wanted.append(self._operation(min(set(indices) - self.done, default=index)))
        return wanted

    def _note(self) -> list[_Wanted]:
        note = self.problem.note
        return [] if note is None else [self._express(note, None)]

    def _operation(self, index: int) -> _Wanted:
        return self._express(self.problem.plan[index], index)

    def _plain(self, calculation: Calculation) -> _Wanted:
        family = self.problem.family
        left = write_number(calculation.left, family)
        right = write_number(calculation.right, family)
        return _Wanted(
            calculation=calculation,
            words=f"{calculation.left} {calculation.operator} {calculation.right}",
            code=_python(left, calculation.operator, right, family),
        )

    def _express(self, operation: Operation, index: int | None) -> _Wanted:
        """The operation on true numbers; what has not been done yet stands in brackets."""
        left, right = self._operand(operation.left), self._operand(operation.right)
        return _Wanted(
            calculation=calculation_of(operation, self.problem.values),
            words=f"{left[0]} {operation.operator} {right[0]}",
            code=_python(left[1], operation.operator, right[1], self.problem.family),
            name=operation.name,
            index=index,
        )

    def _operand(self, operand: Operand) -> tuple[str, str]:
        if isinstance(operand, Result) and operand.index not in self.done:
            inner = self._operation(operand.index)
            return f"({inner.words})", f"({inner.code})"
        value = read(operand, self.problem.values)
        return str(value), write_number(value, self.problem.family)

    def _assume_done(self, index: int) -> None:
        self.done.add(index)
        for earlier in self.problem.plan[index].inputs:
            if earlier not in self.done:
                self._assume_done(earlier)


def _python(left: str, operator: str, right: str, family: str) -> str:
    if family != "E":
        return f"{left} {_IN_PYTHON.get(operator, operator)} {right}"
    if operator == "/" and not left.startswith("F("):
        left = f"F{left}" if left.startswith("(") else f"F({left})"
    return f"{left} {operator} {right}"


def _is_same_way(line: Line | None, wanted: _Wanted) -> bool:
    if line is None or (line.name is not None and line.name != wanted.name):
        return False
    return line.calculation is None or is_same(line.calculation, wanted.calculation)


def _kind(step: str, line: Line | None) -> str:
    if is_answer(step):
        return "answer"
    marks = {"Wait,": "repair", "Check:": "check", "Note:": "note"}
    return marks.get(line.mark or "", "step") if line else "step"
