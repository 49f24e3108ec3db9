"""A world without a model: multiplications, and a function that solves and fails them by seed.

A solution states some steps and an answer. Each step may go wrong, which later steps seldom repair,
so that rollouts from its prefixes say where the error is. Everything is a function of the question,
the prefix and the seed: runs that were interrupted must come to the same rows.
"""

import re
from random import Random
from typing import Any

from schemas.generation import Completion, FinishReason, Prompt
from schemas.ids import seed_from

TOKENS_PER_STEP = 25
ERROR_RATES = (0.01, 0.04, 0.1, 0.25)
"""Chance that a step goes wrong, by problem."""
REPAIR_RATE = 0.01
WORKING = (
    "we take the parts that are left, put them together with what was found before, and see that "
    "it {holds} for the number at hand."
)
_FACTORS = re.compile(r"What is (\d+) times (\d+)\?")
_WRONG = "does not quite hold"


def problems(num_problems: int) -> list[dict[str, Any]]:
    """Rows of an input file, all different."""
    return [
        {"question": f"What is {7 + i} times {3 + i % 11}?", "answer": str((7 + i) * (3 + i % 11))}
        for i in range(num_problems)
    ]


def reply(prompt: Prompt, seed: int) -> Completion:
    """Goes on from the prefix to an answer."""
    question = prompt.messages[-1].content
    factors = _FACTORS.search(question)
    if factors is None:
        return _said("I do not know.", 1)
    right = int(factors[1]) * int(factors[2])
    num_steps = 5 + right % 8
    error_rate = ERROR_RATES[right // 8 % len(ERROR_RATES)]
    draw = Random(seed_from(seed, question, prompt.prefix))
    done = prompt.prefix.count("Step ")
    is_wrong = _WRONG in prompt.prefix.rsplit("Step ", 1)[-1]
    said = []
    for n in range(done + 1, num_steps + 1):
        is_wrong = draw.random() >= REPAIR_RATE if is_wrong else draw.random() < error_rate
        working = WORKING.format(holds=_WRONG if is_wrong else "holds")
        said.append(f"Step {n}: {working}\n\n")
    answer = right + draw.randint(1, 9) if is_wrong else right
    said.append(f"The answer is: \\boxed{{{answer}}}")
    return _said("".join(said), len(said))


def short_reply(prompt: Prompt, seed: int) -> Completion:
    """Two steps, the second of which is the answer."""
    factors = _FACTORS.search(prompt.messages[-1].content)
    assert factors is not None
    answer = int(factors[1]) * int(factors[2]) + (seed % 2)
    said = f"The answer is: \\boxed{{{answer}}}"
    return _said(said if prompt.prefix else f"We multiply.\n\n{said}", 2)


def _said(text: str, num_steps: int) -> Completion:
    return Completion(
        text=text, num_tokens=TOKENS_PER_STEP * num_steps, finish_reason=FinishReason.STOP
    )
