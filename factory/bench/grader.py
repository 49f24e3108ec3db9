"""Speed and fidelity of the answer grader against plain math-verify, in one run on one machine.

`python -m factory.bench.grader` writes build/bench/grader.json and prints it. Problems and answers
are made up: kinds of reference answer in the shares of the MATH set, and for each problem the right
answer in a few spellings, near misses and plain wrong ones, as rollouts repeat them. The plain side
is `verify(parse("$gold$"), parse("\\boxed{answer}"))` pair by pair on the main thread. It is timed
on a random subsample and scaled by the number of pairs.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.records import Verdict
from workers.grading import GRADER_VERSION, Grader, GraderSettings

OUT = Path("build/bench/grader.json")
_WARM_UP = 150
"""Pairs the plain side grades before it is timed: its parser's tables fill as they are used."""
_CALL = 16
"""Answers per call: the rollouts of one prefix."""
_NO_ANSWER_SHARE = 0.02
_RIGHT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Problem:
    """A reference answer, other spellings of it (itself first), and wrong answers."""

    gold: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """So many problems with so many rollouts each, graded by so many processes."""

    name: str
    num_problems: int
    num_rollouts: int
    num_processes: int


SCENARIOS = (
    Scenario("256", 150, 256, 1),
    Scenario("16", 400, 16, 1),
    Scenario("distinct", 1200, 1, 2),
)


def _integer(r: random.Random) -> Problem:
    n = r.choice((r.randint(-20, 100), r.randint(100, 5000)))
    right = (f"{n}", f"{n}.", f"{n}.0", f"{n}\\text{{ cm}}", f"x={n}", f"\\frac{{{2 * n}}}{{2}}")
    wrong = (n + 1, n - 1, 2 * n + 3, -n - 1, f"{n}.5", f"\\frac{{{n}}}{{7}}", f"{n}\\sqrt{{2}}")
    return Problem(f"{n}", right, tuple(map(str, wrong)))


def _fraction(r: random.Random) -> Problem:
    a, b = r.randint(1, 60), r.choice((3, 7, 9, 11, 13, 8, 16))
    a += a % b == 0
    gold = f"\\frac{{{a}}}{{{b}}}"
    right = (gold, f"{a}/{b}", f"\\dfrac{{{a}}}{{{b}}}", f"\\frac{{{3 * a}}}{{{3 * b}}}")
    wrong = (
        f"\\frac{{{b}}}{{{a}}}",
        f"\\frac{{{a + 1}}}{{{b}}}",
        f"{a}",
        f"{a / b:.3f}",
        f"-{gold}",
    )
    return Problem(gold, right, wrong)


def _numeric(r: random.Random) -> Problem:
    a, b, c = r.randint(2, 9), r.choice((2, 3, 5, 7, 11)), r.randint(1, 12)
    gold = r.choice((f"{a}\\sqrt{{{b}}}", f"{c}+{a}\\sqrt{{{b}}}", f"\\frac{{{a}\\pi}}{{{b}}}"))
    right = (gold, f"{{{gold}}}", gold.replace("\\frac", "\\dfrac"), f"{gold}.")
    wrong = (
        f"{a}\\sqrt{{{b + 1}}}",
        f"{a}",
        f"{c}-{a}\\sqrt{{{b}}}",
        f"{a}\\pi",
        f"\\sqrt{{{a * b}}}",
    )
    return Problem(gold, right, wrong)


def _variables(r: random.Random) -> Problem:
    a, b, c = r.randint(2, 9), r.randint(2, 9), r.randint(1, 30)
    gold = f"{a}x^2+{b}x-{c}"
    right = (gold, f"{b}x+{a}x^2-{c}", f"{a}x^2 + {b}x - {c}", f"f(x)={gold}")
    wrong = (f"{a}x^2-{b}x-{c}", f"{a}x^2+{b}x+{c}", f"{a}x+{b}", f"{c}", f"(x+{a})(x-{b})")
    return Problem(gold, right, wrong)


def _interval(r: random.Random) -> Problem:
    a = r.randint(-9, 5)
    b = a + r.randint(1, 9)
    gold = r.choice((f"[{a},{b})", f"({a},{b})", f"(-\\infty,{a}]\\cup[{b},\\infty)"))
    right = (gold, gold.replace(",", ", "), gold.replace("(", "\\left(").replace(")", "\\right)"))
    wrong = (f"[{a},{b}]", f"({a},{b + 1})", f"({b},\\infty)", f"{a}", f"[{a - 1},{b})")
    return Problem(gold, right, wrong)


def _list(r: random.Random) -> Problem:
    a, b, c = r.sample(range(-12, 30), 3)
    right = (f"{a},{b},{c}", f"{a}, {b}, {c}", f"{c},{a},{b}", f"\\{{{a},{b},{c}\\}}")
    return Problem(right[0], right, (f"{a},{b}", f"{a},{b},{c + 1}", f"{a}", f"{b},{c}"))


def _text(r: random.Random) -> Problem:
    gold, *wrong = r.sample(("east", "Monday", "even", "Alice", "red", "No solution"), 4)
    return Problem(f"\\text{{{gold}}}", (f"\\text{{{gold}}}", gold), tuple(wrong))


def _decimal(r: random.Random) -> Problem:
    n = r.randint(1, 20_000) / 100
    right = (f"{n}", f"{n:.3f}", f"\\${n}", f"{n}.")
    return Problem(f"{n}", right, (f"{n + 0.01:.2f}", f"{n:.0f}", f"{n * 10:.1f}", f"{n / 10:.3f}"))


def _matrix(r: random.Random) -> Problem:
    a, b, c = (r.randint(-9, 9) for _ in range(3))

    def column(*rows: int) -> str:
        return "\\begin{pmatrix}" + " \\\\ ".join(map(str, rows)) + "\\end{pmatrix}"

    gold = column(a, b, c)
    return Problem(
        gold, (gold, gold.replace(" ", "")), (column(a, b, c + 1), column(b, a, c), f"{a}")
    )


_KINDS: tuple[tuple[Callable[[random.Random], Problem], float], ...] = (
    (_integer, 0.63),
    (_fraction, 0.12),
    (_numeric, 0.11),
    (_variables, 0.04),
    (_interval, 0.03),
    (_list, 0.02),
    (_text, 0.02),
    (_decimal, 0.02),
    (_matrix, 0.01),
)

Rollouts = list[tuple[str, list[str | None]]]
"""Reference answer and the answers to it, one entry per problem."""


def make_rollouts(scenario: Scenario, seed: int) -> Rollouts:
    """Problems in the shares above; spellings and mistakes come the rarer the later they stand.

    With one rollout per problem every pair is made to differ from every other.
    """
    r = random.Random(f"{scenario.name} {seed}")
    makers, shares = zip(*_KINDS, strict=True)
    rollouts: Rollouts = []
    seen: set[tuple[str, str | None]] = set()
    while len(rollouts) < scenario.num_problems:
        problem = r.choices(makers, shares)[0](r)
        answers = [_answer(problem, r) for _ in range(scenario.num_rollouts)]
        if scenario.num_rollouts == 1:
            if (problem.gold, answers[0]) in seen and r.random() < 0.99:
                continue
            seen.add((problem.gold, answers[0]))
        rollouts.append((problem.gold, answers))
    return rollouts


def _answer(problem: Problem, r: random.Random) -> str | None:
    if r.random() < _NO_ANSWER_SHARE:
        return None
    answers = problem.right if r.random() < _RIGHT_SHARE else problem.wrong
    return r.choices(answers, [3.0**-i for i in range(len(answers))])[0]


def measure(repeats: int = 3, sample: int = 600, seed: int = 0) -> dict[str, Any]:
    """Medians over repeats, each with new problems, a cold cache and processes just started."""
    result: dict[str, Any] = {
        "grader": GRADER_VERSION,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "repeats": repeats,
        "naive": f"one core; timed on {sample} random pairs per scenario and repeat, then scaled",
        "scenarios": {},
    }
    differing: list[tuple[str, str | None, bool, str]] = []
    num_compared = 0
    for gold, answers in make_rollouts(SCENARIOS[-1], seed - 1)[:_WARM_UP]:
        _naive(gold, answers[0])
    for scenario in SCENARIOS:
        runs = [_measure_once(scenario, sample, seed + i) for i in range(repeats)]
        speedups = [run.naive_s_per_pair / run.our_s_per_pair for run in runs]
        result[f"speedup_{scenario.name}"] = round(statistics.median(speedups), 2)
        result["scenarios"][scenario.name] = {
            "problems": scenario.num_problems,
            "rollouts": scenario.num_rollouts,
            "pool_processes": scenario.num_processes,
            "speedups": [round(s, 2) for s in speedups],
            "naive_pairs_per_s": [round(1 / run.naive_s_per_pair) for run in runs],
            "our_pairs_per_s": [round(1 / run.our_s_per_pair) for run in runs],
            "checked": [run.num_checked for run in runs],
        }
        differing += [pair for run in runs for pair in run.differing]
        num_compared += sum(run.num_compared for run in runs)
    result["differing_verdicts"] = len(differing)
    result["compared_verdicts"] = num_compared
    result["differing"] = differing[:20]
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    naive_s_per_pair: float
    our_s_per_pair: float
    num_checked: int
    num_compared: int
    differing: list[tuple[str, str | None, bool, str]]


def _measure_once(scenario: Scenario, sample: int, seed: int) -> _Run:
    rollouts = make_rollouts(scenario, seed)
    pairs = [(gold, answer) for gold, answers in rollouts for answer in answers]
    chosen = random.Random(seed).sample(pairs, min(sample, len(pairs)))

    settings = GraderSettings(num_processes=scenario.num_processes)
    with_defaults, our_s = _grade_all(rollouts, settings)
    start = time.perf_counter()
    naive = [_naive(gold, answer) for gold, answer in chosen]
    naive_s = time.perf_counter() - start

    plain = Grader(GraderSettings(normalise=False))
    verdicts = [plain.grade_now(gold, [answer])[0] for gold, answer in chosen]
    plain.close()
    differing = [
        (gold, answer, theirs, ours.value)
        for (gold, answer), theirs, ours in zip(chosen, naive, verdicts, strict=True)
        if theirs != (ours is Verdict.CORRECT) or not ours.is_decided
    ]
    return _Run(
        naive_s_per_pair=naive_s / len(chosen),
        our_s_per_pair=our_s / len(pairs),
        num_checked=with_defaults.stats.num_checked - scenario.num_processes,
        num_compared=len(chosen),
        differing=differing,
    )


def _grade_all(rollouts: Rollouts, settings: GraderSettings) -> tuple[Grader, float]:
    """Everything at once in one event loop, as a worker does; process start is not counted."""
    grader = Grader(settings)
    grader.grade_now("x", [f"y_{i}" for i in range(settings.num_processes)])

    async def problem(gold: str, answers: Sequence[str | None]) -> None:
        for i in range(0, len(answers), _CALL):
            await grader.grade(gold, answers[i : i + _CALL])

    async def all_problems() -> None:
        await asyncio.gather(*(problem(gold, answers) for gold, answers in rollouts))

    start = time.perf_counter()
    asyncio.run(all_problems())
    our_s = time.perf_counter() - start
    grader.close()
    return grader, our_s


def _naive(gold: str, answer: str | None) -> bool:
    from math_verify import parse, verify

    if answer is None:
        return False
    return bool(verify(parse(f"${gold}$"), parse(f"\\boxed{{{answer}}}")))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sample", type=int, default=600)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args(arguments)
    result = measure(args.repeats, args.sample)
    text = json.dumps(result, indent=1)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
