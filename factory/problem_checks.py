"""Checks that need a grader or a tokenizer, made before a job starts."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from factory.core.counting import no_rollouts
from factory.core.prompts import SolvePrompt
from factory.core.recipe import Recipe
from factory.errors import InputError, shortened
from factory.job import Job, ModelSection
from factory.models import context_length
from factory.problems import PlacedProblem, read_problems
from factory.programs.sample import QUESTION_TOO_LONG
from schemas.records import ProblemGroup, Status, StopReason
from workers.grading import Grader
from workers.vllm_dialect import Dialect

CHECKED_TOGETHER = 1_000
COMPLETERS_TOO_LONG = "question too long for the completer"
TEMPLATE_BYTES = 512
"""More than any chat template adds to a short question."""


def checked_problems(job: Job, recipe: Recipe) -> Iterator[ProblemGroup]:
    """The job's problems; those too long for their first reader are dropped if the job says so.

    The first reader is the completer where solutions are given, else the generator. Where labels
    are given too nothing is graded and no rollout asked for: the evidence says so.

    Raises InputError for an answer the grader cannot read and for a question that leaves no room
    in the context of the model that has to read it.
    """
    if recipe.has_given_labels:
        problems = read_problems(job.problems, recipe.step_style, with_labels=True)
        yield from map(_with_given_labels, problems)
        return
    readers = {
        True: _LengthCheck(job.completing),
        False: _LengthCheck(job.generator or job.completing),
    }
    """By whether solutions are given."""
    grader = Grader()
    try:
        problems = iter(read_problems(job.problems, recipe.step_style))
        while chunk := list(islice(problems, CHECKED_TOGETHER)):
            _check_answers(chunk, grader)
            for problem in chunk:
                yield _checked_length(problem, readers[bool(problem.group.solutions)], job)
    finally:
        grader.close()


def _with_given_labels(problem: PlacedProblem) -> ProblemGroup:
    unlabelled = [s for s in problem.group.solutions if not s.given_labels]
    if unlabelled or not problem.group.solutions:
        raise InputError(
            f"{problem.place}: the recipe takes labels from the input: give 'solutions', and for "
            "each a list of true, false or null in 'labels'"
        )
    given = no_rollouts(StopReason.GIVEN)
    solutions = [replace(s, evidence=(given,) * len(s.steps)) for s in problem.group.solutions]
    return replace(problem.group, solutions=tuple(solutions))


def _check_answers(problems: Iterable[PlacedProblem], grader: Grader) -> None:
    chunk = list(problems)
    bad = grader.unparsable([problem.group.answer for problem in chunk])
    for problem, is_bad in zip(chunk, bad, strict=True):
        if is_bad:
            raise InputError(
                f"{problem.place}: answer {shortened(problem.group.answer, 80)!r} cannot be "
                "compared with anything: write it as a number or in LaTeX"
            )


def _checked_length(problem: PlacedProblem, too_long: "_LengthCheck", job: Job) -> ProblemGroup:
    group = problem.group
    num_tokens = too_long(group.question)
    if num_tokens is None:
        return group
    if job.problems.too_long == "drop":
        reason = COMPLETERS_TOO_LONG if group.solutions else QUESTION_TOO_LONG
        return replace(group, status=Status.DROPPED, reason=reason)
    raise InputError(
        f"{problem.place}: question of {num_tokens:,} tokens with its chat template does not fit "
        f"the model's context of {too_long.context:,}: raise max_model_len, or set "
        "problems.too_long to 'drop'"
    )


class _LengthCheck:
    """Tokens of a prompt that does not fit, else `None`. Loads a tokenizer only if it must."""

    def __init__(self, section: ModelSection) -> None:
        self.context = context_length(section)
        self._section = section
        self._prompt = SolvePrompt(system=section.system)
        self._dialect: Dialect | None = None

    def __call__(self, question: str) -> int | None:
        if self.context is None:
            return None
        system = self._section.system or ""
        if len(question.encode()) + len(system.encode()) + TEMPLATE_BYTES < self.context:
            return None  # a token is at least a byte
        if self._dialect is None:
            self._dialect = _open_dialect(self._section)
        num_tokens = len(self._dialect.encode(self._prompt(question)))
        return num_tokens if num_tokens >= self.context else None


def _open_dialect(section: ModelSection) -> Dialect:
    """What the engine will make of prompts, of any length: they are counted here, not refused."""
    from transformers import AutoTokenizer

    told = section.engine_args
    tokenizer = AutoTokenizer.from_pretrained(
        told.get("tokenizer") or section.model,
        revision=told.get("tokenizer_revision") or told.get("revision") or "main",
        model_max_length=sys.maxsize,
    )
    return Dialect(tokenizer, sys.maxsize)
