"""What the tiny model can do on held-out problems: `python -m factory.toy.measure --model DIR`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from factory.toy import MODEL_DIR
from factory.toy.oracle import StepTruth, first_error, judge
from factory.toy.sampling import ENGINES, Completion, Sampler, load_sampler
from factory.toy.tokenizer import ASSISTANT, END, USER
from factory.toy.world import FAMILIES, LEVELS, ToyProblem, make_problems

TEMPERATURE = 0.8
PROBLEM_SEED = 7_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A solution the model wrote, maybe from a given prefix, with what the oracle says of it."""

    problem: ToyProblem
    steps: tuple[str, ...]
    truths: tuple[StepTruth, ...]
    num_tokens: int

    @property
    def is_solved(self) -> bool:
        """The last step boxes the right answer."""
        return "\\boxed" in self.steps[-1] and self.truths[-1].is_true

    @property
    def has_repair(self) -> bool:
        """Some false step is corrected in so many words."""
        pairs = zip(self.steps, self.truths, strict=True)
        error = first_error(self.truths)
        return any(
            step.startswith("Wait,") and truth.is_true and error is not None and i > error
            for i, (step, truth) in enumerate(pairs)
        )

    @property
    def has_detour(self) -> bool:
        """Some step is true and useless."""
        pairs = zip(self.steps, self.truths, strict=True)
        return any(step.startswith(("Check:", "Note:")) and t.is_true for step, t in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Everything that was sampled; the numbers are derived by `report`."""

    sampled: tuple[Attempt, ...]
    greedy: tuple[Attempt, ...]
    from_true: tuple[Attempt, ...]
    from_false: tuple[Attempt, ...]


def prompt_of(problem: ToyProblem, prefix: Sequence[str] = ()) -> str:
    """The chat prompt, followed by the steps already written, each with its gap."""
    return f"{USER}{problem.question}{END}{ASSISTANT}" + "".join(f"{s}\n\n" for s in prefix)


def measure(
    model: Path, num_problems: int = 600, num_samples: int = 4, engine: str = "auto"
) -> Measurement:
    """Sample solutions, then go on from one true and one just broken prefix of each, if any."""
    sampler = load_sampler(model, engine)
    problems = make_problems(num_problems, PROBLEM_SEED)
    bare = [(problem, ()) for problem in problems for _ in range(num_samples)]
    sampled = _attempt(sampler, bare, TEMPERATURE, 0)
    rng = Random(PROBLEM_SEED)
    true_prefixes = [(a.problem, p) for a in sampled if (p := _true_prefix(a, rng))]
    false_prefixes = [(a.problem, p) for a in sampled if (p := _false_prefix(a))]
    return Measurement(
        sampled=sampled,
        greedy=_attempt(sampler, [(p, ()) for p in problems], 0.0, 0),
        from_true=_attempt(sampler, true_prefixes, TEMPERATURE, 1),
        from_false=_attempt(sampler, false_prefixes, TEMPERATURE, 2),
    )


def report(measurement: Measurement) -> str:
    """The measurement as lines of text."""
    sampled = measurement.sampled
    truths = [t for a in sampled for t in a.truths]
    num_tokens = [a.num_tokens for a in sampled]
    mean_tokens = sum(num_tokens) / len(num_tokens)
    by_level = [
        f"level {level}: {_solved(a for a in sampled if a.problem.level == level)}"
        for level in LEVELS
    ]
    by_family = [
        f"family {family}: {_solved(a for a in sampled if a.problem.family == family)}"
        for family in FAMILIES
    ]
    return "\n".join(
        [
            f"pass@1 at temperature {TEMPERATURE}: {_solved(sampled)}",
            *(f"  {line}" for line in (*by_level, *by_family)),
            f"greedy: {_solved(measurement.greedy)}",
            f"tokens per solution: mean {mean_tokens:.1f}, largest {max(num_tokens)}",
            f"steps true: {_share(t.is_true for t in truths)}",
            f"solved from a true prefix: {_solved(measurement.from_true)}",
            f"solved from a prefix ending in the first error: {_solved(measurement.from_false)}",
            f"solutions with a repair: {_share(a.has_repair for a in sampled)}",
            f"solutions with a detour: {_share(a.has_detour for a in sampled)}",
        ]
    )


def _attempt(
    sampler: Sampler,
    starts: Sequence[tuple[ToyProblem, tuple[str, ...]]],
    temperature: float,
    seed: int,
) -> tuple[Attempt, ...]:
    prompts = [prompt_of(problem, prefix) for problem, prefix in starts]
    completions = sampler(prompts, temperature, seed * len(prompts))
    pairs = zip(starts, completions, strict=True)
    return tuple(_judged(problem, prefix, c) for (problem, prefix), c in pairs)


def _judged(problem: ToyProblem, prefix: tuple[str, ...], completion: Completion) -> Attempt:
    steps = (*prefix, *completion.text.split("\n\n"))
    truths = judge(problem, steps)
    return Attempt(problem=problem, steps=steps, truths=truths, num_tokens=completion.num_tokens)


def _true_prefix(attempt: Attempt, rng: Random) -> tuple[str, ...] | None:
    """A random number of steps before the first error and the answer; None if there is none."""
    error = first_error(attempt.truths)
    longest = len(attempt.steps) - 1 if error is None else error
    return attempt.steps[: rng.randint(1, longest)] if longest > 0 else None


def _false_prefix(attempt: Attempt) -> tuple[str, ...] | None:
    """All steps up to the first error that breaks something; None if that is the answer or none."""
    error = first_error(attempt.truths)
    if error is None or error == len(attempt.steps) - 1 or attempt.truths[error].is_alive:
        return None
    return attempt.steps[: error + 1]


def _solved(attempts: Iterable[Attempt]) -> str:
    return _share(a.is_solved for a in attempts)


def _share(verdicts: Iterable[bool]) -> str:
    """A ratio with its denominator; a dash where there is nothing to count."""
    known = list(verdicts)
    return f"{sum(known) / len(known):.3f} of {len(known)}" if known else "- of 0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--problems", type=int, default=600)
    parser.add_argument("--samples", type=int, default=4, help="solutions per problem")
    parser.add_argument("--engine", choices=ENGINES, default="auto")
    arguments = parser.parse_args()
    model, engine = arguments.model, arguments.engine
    print(report(measure(model, arguments.problems, arguments.samples, engine)))


if __name__ == "__main__":
    main()
