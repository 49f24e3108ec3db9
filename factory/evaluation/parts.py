"""One evaluation each: the texts it needs scores of, and what it makes of the scores."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any, Protocol

from factory.errors import InputError
from factory.evaluation.benchmarks import BestOfRow, PrmBenchRow, ProcessBenchRow, graded
from factory.evaluation.best_of import Sampled, curve, score_best_of
from factory.evaluation.calibration import LabelledStep, score_steps
from factory.evaluation.labelled import LabelledRow
from factory.evaluation.prmbench import JudgedProcess, score_prmbench
from factory.evaluation.processbench import (
    JudgedSolution,
    choose_threshold,
    score_processbench,
)
from factory.evaluation.settings import EvalSettings
from factory.scorers.scorer import SolutionText
from workers.grading import Grader

Scores = Sequence[Sequence[float]]
"""Of a part's texts, in their order."""
CURVE_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Part(Protocol):
    """A benchmark that has been read."""

    @property
    def name(self) -> str:
        """Its place in the report."""
        ...

    @property
    def source(self) -> str:
        """Where its rows come from."""
        ...

    def texts(self) -> list[SolutionText]:
        """What is to be scored, repetitions included."""
        ...

    def report(self, scores: Scores) -> dict[str, Any]:
        """JSON-ready."""
        ...


@dataclass(frozen=True, kw_only=True)
class ProcessBenchPart:
    """First errors."""

    source: str
    rows: Sequence[ProcessBenchRow]
    settings: EvalSettings
    name: str = "processbench"

    def check(self) -> None:
        """Raises InputError for a threshold's subset that is not there."""
        known = list(dict.fromkeys(row.subset for row in self.rows))
        wanted = self.settings.threshold_subset
        if wanted not in (None, *known):
            raise InputError(f"no subset {wanted!r} in {self.source}: there are {', '.join(known)}")

    def texts(self) -> list[SolutionText]:
        return [row.text for row in self.rows]

    def judged(self, scores: Scores) -> list[JudgedSolution]:
        """The solutions with their scores."""
        return [
            JudgedSolution(
                subset=row.subset,
                problem=row.text.problem,
                first_error=row.first_error,
                scores=tuple(own),
            )
            for row, own in zip(self.rows, scores, strict=True)
        ]

    def report(self, scores: Scores) -> dict[str, Any]:
        judged = self.judged(scores)
        threshold = choose_threshold(
            judged, subset=self.settings.threshold_subset, value=self.settings.threshold
        )
        return asdict(score_processbench(judged, threshold))


@dataclass(frozen=True, kw_only=True)
class SampledProblems:
    """Of each problem its N solutions."""

    problems: list[list[Sampled]]
    num_ungraded: int
    """Solutions that the grader could not judge."""


@dataclass(frozen=True, kw_only=True)
class BestOfPart:
    """Which of N solutions is preferred."""

    source: str
    rows: Sequence[BestOfRow]
    name: str = "best_of"

    def texts(self) -> list[SolutionText]:
        return [solution.text for row in self.rows for solution in row.solutions]

    def sampled(self, scores: Scores) -> SampledProblems:
        """The solutions graded, with their scores."""
        left = iter(scores)
        problems: list[list[Sampled]] = []
        num_ungraded = 0
        grader = Grader()
        try:
            for row in self.rows:
                found = graded(row, grader)
                num_ungraded += found.num_ungraded
                own = [tuple(next(left)) for _ in row.solutions]
                entries = zip(found.classes, found.is_correct, own, strict=True)
                problems.append([Sampled(answer=a, is_correct=c, scores=s) for a, c, s in entries])
        finally:
            grader.close()
        return SampledProblems(problems=problems, num_ungraded=num_ungraded)

    def report(self, scores: Scores) -> dict[str, Any]:
        found = self.sampled(scores)
        problems = found.problems
        sizes = [len(problem) for problem in problems]
        tried = [n for n in CURVE_SIZES if n < max(sizes)] + [max(sizes)]
        return {
            "num_problems": len(problems),
            "num_solutions": sum(sizes),
            "solutions_per_problem": [min(sizes), max(sizes)],
            "num_ungraded": found.num_ungraded,
            "num_unanswered": sum(s.answer is None for p in problems for s in p),
            "num_problems_unanswered": sum(all(s.answer is None for s in p) for p in problems),
            "num_unscored": sum(not s.is_scored for p in problems for s in p),
            "num_problems_unscored": sum(not any(s.is_scored for s in p) for p in problems),
            "methods": [asdict(method) for method in score_best_of(problems)],
            "curve": {"n": tried, **curve(problems, tried)},
        }


@dataclass(frozen=True, kw_only=True)
class LabelsPart:
    """Agreement with labels, ranking, calibration."""

    source: str
    rows: Sequence[LabelledRow]
    skipped: dict[str, int]
    settings: EvalSettings
    name: str = "labels"

    def texts(self) -> list[SolutionText]:
        return [row.text for row in self.rows]

    def report(self, scores: Scores) -> dict[str, Any]:
        pairs = [
            (row.text.problem, score, label)
            for row, own in zip(self.rows, scores, strict=True)
            for score, label in zip(own, row.labels, strict=True)
            if label is not None
        ]
        steps = [
            LabelledStep(problem=problem, score=score, is_good=label)
            for problem, score, label in pairs
            if not isnan(score)
        ]
        return {
            "num_solutions": len(self.rows),
            "skipped": self.skipped,
            "num_unscored_steps": len(pairs) - len(steps),
            **asdict(score_steps(steps, self.settings.step_threshold)),
        }


@dataclass(frozen=True, kw_only=True)
class PrmBenchPart:
    """Kinds of error."""

    source: str
    rows: Sequence[PrmBenchRow]
    settings: EvalSettings
    name: str = "prmbench"

    def texts(self) -> list[SolutionText]:
        return [row.text for row in self.rows]

    def report(self, scores: Scores) -> dict[str, Any]:
        processes = [
            JudgedProcess(
                category=row.category,
                problem=row.problem,
                error_steps=row.error_steps,
                scores=tuple(own),
            )
            for row, own in zip(self.rows, scores, strict=True)
        ]
        return asdict(score_prmbench(processes, self.settings.step_threshold))
