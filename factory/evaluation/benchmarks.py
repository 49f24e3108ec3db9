"""The benchmarks' rows as values: what is to be scored, and what is known of it."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from factory.core.answers import extract_answer
from factory.errors import shortened
from factory.evaluation.files import PlacedRow
from factory.scorers.scorer import SolutionText
from schemas.interchange import processbench
from schemas.interchange.fields import items, optional_text, struct, text, texts
from schemas.records import Verdict
from workers.grading import Grader

_SUBSET = re.compile(r"(?P<name>[^\W\d]\w*)(?:-\d+)+")
"""An id that begins with the name of its subset, as "gsm8k-17" does."""
_STEP_NUMBER = re.compile(r"\A\s*(?:step\s*)?\d+\.\s+(?=\S)", re.IGNORECASE)
PROCESSBENCH_ROW = "a ProcessBench row has problem, steps and label"
BEST_OF_ROW = "a best-of-N row has problem and solutions, each with steps"
PRMBENCH_ROW = (
    "a PRMBench row has classification, modified_question, modified_process and error_steps"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessBenchRow:
    """A solution and its first error, 0-based; `None` where it has none."""

    subset: str
    text: SolutionText
    first_error: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledSolution:
    """One of a problem's solutions; `is_correct` is `None` where the file does not say."""

    text: SolutionText
    answer: str | None
    is_correct: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfRow:
    """A problem with its solutions."""

    problem_id: str
    reference_answer: str | None
    solutions: tuple[SampledSolution, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """A problem's solutions with the classes of their answers, and which are right."""

    classes: tuple[int | None, ...]
    """Equal numbers are equal answers; `None` where there is no answer."""
    is_correct: tuple[bool, ...]
    num_ungraded: int
    """Answers that the grader could not decide; they count as wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrmBenchRow:
    """A modified process and its bad steps, 0-based."""

    category: str
    problem: str
    """What is resampled: the question all its variants come from."""
    text: SolutionText
    error_steps: frozenset[int]


def processbench_row(row: PlacedRow) -> ProcessBenchRow:
    """The subset is the row's own `subset`, else what its id begins with, else the file or split.

    Raises ValueError for no row of the format.
    """
    [solution] = processbench.read(row.values)
    subset = optional_text(row.values, "subset")
    if subset is None:
        named = _SUBSET.fullmatch(solution.source_id or "")
        subset = named["name"] if named else row.part
    return ProcessBenchRow(
        subset=subset,
        text=SolutionText(problem=solution.question, steps=solution.steps),
        first_error=solution.first_error,
    )


def best_of_row(row: PlacedRow) -> BestOfRow:
    """A line of `problem_id`, `problem`, `reference_answer` and `solutions`, a list of `steps`,
    `answer` and `is_correct`.

    An answer that is not there is looked for in the last step; a null or blank one is none. Raises
    ValueError where something is missing, and where nothing says which solutions are right.
    """
    values = row.values
    problem, reference = text(values, "problem"), optional_text(values, "reference_answer")
    solutions = tuple(_sampled(problem, s) for s in items(values, "solutions"))
    if not solutions:
        raise ValueError("'solutions' is empty: each problem needs one or more")
    if reference is None and any(s.is_correct is None for s in solutions):
        raise ValueError("a solution without 'is_correct' needs the row's 'reference_answer'")
    return BestOfRow(
        problem_id=optional_text(values, "problem_id") or problem,
        reference_answer=reference,
        solutions=solutions,
    )


def distinct_problems() -> Callable[[PlacedRow], BestOfRow]:
    """Reads the rows of a benchmark by `best_of_row`.

    Raises ValueError for a problem that an earlier row has: it would count as two.
    """
    places: dict[str, str] = {}

    def read(row: PlacedRow) -> BestOfRow:
        found = best_of_row(row)
        if (place := places.setdefault(found.problem_id, row.place)) != row.place:
            raise ValueError(
                f"problem {shortened(found.problem_id)!r} stands at {place} already: put all its "
                "solutions into one row"
            )
        return found

    return read


def prmbench_row(row: PlacedRow) -> PrmBenchRow:
    """A row of PRMBench: its `error_steps` are counted from 1, and its steps begin with their
    numbers, which are taken off, as its code does before a PRM sees them.

    Raises ValueError for an error step that is not there.
    """
    values = row.values
    steps = [_STEP_NUMBER.sub("", step, count=1) for step in texts(values, "modified_process")]
    if not steps:
        raise ValueError("'modified_process' is empty: a process has one step or more")
    numbers = items(values, "error_steps")
    wrong = [n for n in numbers if type(n) is not int or not 1 <= n <= len(steps)]
    if wrong:
        found = "null" if wrong[0] is None else repr(wrong[0])
        raise ValueError(f"'error_steps' must be from 1 to {len(steps)}, not {found}")
    question = text(values, "modified_question")
    return PrmBenchRow(
        category=text(values, "classification"),
        problem=optional_text(values, "original_question") or question,
        text=SolutionText(problem=question, steps=tuple(steps)),
        error_steps=frozenset(n - 1 for n in numbers),
    )


def graded(row: BestOfRow, grader: Grader) -> Graded:
    """Classes and verdicts by the factory's grader; a verdict in the file wins."""
    answers = [s.answer for s in row.solutions]
    unknown = [s.answer for s in row.solutions if s.is_correct is None]
    verdicts: dict[str | None, Verdict] = {}
    if unknown:
        assert row.reference_answer is not None
        found = grader.grade_now(row.reference_answer, unknown)
        verdicts = dict(zip(unknown, found, strict=True))
    is_correct = [
        verdicts[s.answer] is Verdict.CORRECT if s.is_correct is None else s.is_correct
        for s in row.solutions
    ]
    decided = (Verdict.CORRECT, Verdict.WRONG, Verdict.NO_ANSWER)
    return Graded(
        classes=tuple(answer_classes(answers, grader)),
        is_correct=tuple(is_correct),
        num_ungraded=sum(
            s.is_correct is None and verdicts[s.answer] not in decided for s in row.solutions
        ),
    )


def answer_classes(answers: Sequence[str | None], grader: Grader) -> list[int | None]:
    """A number for each answer: the most frequent spelling takes in all that are equal to it, then
    the most frequent of those left. `None` stays `None`."""
    spellings = Counter(answer for answer in answers if answer is not None)
    left = [spelling for spelling, _ in spellings.most_common()]
    class_of: dict[str | None, int] = {}
    while left:
        [head, *others] = left
        verdicts = grader.grade_now(head, others)
        equal = {o for o, v in zip(others, verdicts, strict=True) if v is Verdict.CORRECT}
        class_of |= dict.fromkeys([head, *equal], len(spellings) - len(left))
        left = [other for other in others if other not in equal]
    return [class_of.get(answer) for answer in answers]


def _sampled(problem: str, value: Any) -> SampledSolution:
    solution = struct({"solutions": value}, "solutions")
    steps = texts(solution, "steps")
    if not steps or not all(step.strip() for step in steps):
        raise ValueError("'steps' must be one text or more, none of whitespace alone")
    correct = solution.get("is_correct")
    if not isinstance(correct, bool | None):
        raise ValueError(f"'is_correct' must be true, false or null, not {correct!r}")
    has_answer = "answer" in solution
    answer = optional_text(solution, "answer") if has_answer else extract_answer(steps[-1])
    return SampledSolution(
        text=SolutionText(problem=problem, steps=steps),
        answer=(answer or "").strip() or None,
        is_correct=correct,
    )
