"""A bank of real rollouts: many at every prefix, in the order of their seeds.

Any policy can be replayed on it: the rollouts it would ask the engine for are the first ones in
the bank, because rollout i of a prefix has one seed whoever asks for it. So policies are compared
on the same solutions and the same rollouts, without an engine.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from rich.progress import track

from factory.bench.spread import spread
from factory.core.chain import Counts, counts_of, outcome
from factory.core.prompts import SolvePrompt
from factory.core.selection import Selection
from factory.programs.arms import Arms
from factory.programs.sample import Sample
from factory.recipes import load_recipe
from factory.toy import MODEL_DIR
from factory.toy.oracle import first_error, judge
from factory.toy.world import LEVELS, ToyProblem, make_problems
from schemas.records import ProblemGroup, Solution, Status
from workers.admission import Admission
from workers.grading import Grader
from workers.vllm_engine import open_engine


@dataclass(frozen=True, slots=True, kw_only=True)
class BankPrefix:
    """One prefix: what its rollouts came to and cost, in the order of their seeds."""

    is_right: list[bool | None]
    """`None` where nothing is decided."""
    num_tokens: list[int]

    def counts(self, num_rollouts: int) -> Counts:
        """The counts of the first rollouts."""
        decided = [right for right in self.is_right[:num_rollouts] if right is not None]
        return Counts(num_rollouts=len(decided), num_correct=sum(decided), num_issued=num_rollouts)


@dataclass(frozen=True, slots=True, kw_only=True)
class BankSolution:
    """A sampled solution with T steps, T - 1 prefixes that were rolled out, and the truth."""

    problem_id: str
    level: int
    question: str
    steps: list[str]
    """Without the whitespace around them."""
    root: Counts
    lengths: list[int]
    is_correct: bool
    prefixes: list[BankPrefix]
    is_alive: list[bool]
    """By the oracle, one per step."""
    first_error: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BankOrder:
    """What a bank is made of. Half of a problem's solutions are right, half wrong, where it can."""

    num_problems: int
    num_rollouts: int
    """At every prefix."""
    seed: int
    levels: tuple[int, ...] = LEVELS
    solutions_per_problem: int = 2
    temperature: float | None = None
    """At which solutions are sampled; `None`: the recipe's."""
    num_samples: int = 16
    """Solutions sampled of a problem, to choose from and for the root's counts."""


def collect(path: Path, order: BankOrder, num_processes: int = 1) -> list[BankSolution]:
    """Reads the bank at `path`, or makes it with the shipped model and writes it there.

    With several processes each has an engine of one thread, and a share of the problems.
    """
    if path.exists():
        return [_read(row) for row in json.loads(path.read_text(encoding="utf-8"))]
    bank = spread(partial(_share, order, num_processes), range(num_processes))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(solution) for solution in bank]), encoding="utf-8")
    return bank


def _share(order: BankOrder, num_shares: int, index: int) -> list[BankSolution]:
    """Of every `num_shares` problems one, in order."""
    problems = make_problems(order.num_problems, order.seed, order.levels)
    return asyncio.run(_collect(order, problems[index::num_shares]))


async def _collect(order: BankOrder, problems: Sequence[ToyProblem]) -> list[BankSolution]:
    engine = Admission(open_engine(str(MODEL_DIR), device="cpu"))
    grader = Grader()
    recipe = load_recipe("math-shepherd")
    if order.temperature is not None:
        recipe = replace(recipe, sampling=replace(recipe.sampling, temperature=order.temperature))
    recipe = replace(
        recipe,
        num_solutions=order.num_samples,
        selection=Selection(min_correct=1, min_wrong=1, max_solutions=order.solutions_per_problem),
    )
    prompt = SolvePrompt()
    sample = Sample(recipe=recipe, prompt=prompt, seed=order.seed)

    async def one(problem: ToyProblem) -> list[BankSolution]:
        group = ProblemGroup(
            problem_id=f"{problem.family}{problem.level}-{problem.seed}",
            question=problem.question,
            answer=problem.answer,
        )
        group = await sample(group, engine, grader)
        if group.status is not Status.OK:
            return []
        arms = Arms(
            group=group,
            prompt=prompt,
            sampling=recipe.completing,
            seed=order.seed,
            engine=engine,
            grader=grader,
        )
        return [await _bank(problem, group, s, arms, order.num_rollouts) for s in group.solutions]

    work = [asyncio.ensure_future(one(problem)) for problem in problems]
    description = f"{order.num_rollouts} rollouts at every prefix, seed {order.seed}"
    for done in track(asyncio.as_completed(work), description=description, total=len(work)):
        await done
    found = [solution for task in work for solution in task.result()]
    grader.close()
    engine.close()
    return found


async def _bank(
    problem: ToyProblem, group: ProblemGroup, solution: Solution, arms: Arms, num_rollouts: int
) -> BankSolution:
    *inner, _ = accumulate(solution.steps)
    async with arms.engine.turn():
        await asyncio.gather(*(arms.at(prefix).draw(num_rollouts) for prefix in inner))
    truths = judge(problem, [step.strip() for step in solution.steps])
    assert group.sampled is not None
    return BankSolution(
        problem_id=group.problem_id,
        level=problem.level,
        question=problem.question,
        steps=[step.strip() for step in solution.steps],
        root=counts_of(group.sampled),
        lengths=[len(step) for step in solution.steps],
        is_correct=bool(outcome(solution.verdict)),
        prefixes=[
            BankPrefix(
                is_right=[outcome(r.verdict) for r in arms.at(prefix).rollouts],
                num_tokens=[r.num_tokens for r in arms.at(prefix).rollouts],
            )
            for prefix in inner
        ],
        is_alive=[truth.is_alive for truth in truths],
        first_error=first_error(truths),
    )


def _read(row: dict[str, Any]) -> BankSolution:
    return BankSolution(
        **row
        | {
            "root": Counts(**row["root"]),
            "prefixes": [BankPrefix(**prefix) for prefix in row["prefixes"]],
        }
    )
