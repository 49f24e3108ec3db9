"""The command line on a scripted engine, as a process of its own that can be killed.

`python -m tests.pipeline.scripted_job label JOB --out OUT`, or any other command. SCRIPTED in the
environment is JSON: `delay_s` of every request, `is_breaking`, `seal_every_s`. All else is what
`prm-factory` runs; pushes have the tests' rhythm.
"""

import json
import os
import random
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from factory.job import EngineSection
from factory.toy import MODEL_DIR
from schemas.generation import Prompt
from workers.scripted_engine import ScriptedEngine

SETTINGS = "SCRIPTED"


def write_problems(file: Path, num_problems: int, *, first: int = 0) -> Path:
    """Sums, with their answers."""
    rows = [
        {"question": f"What is {n} + {n % 7}?", "answer": str(n + n % 7)}
        for n in range(first, first + num_problems)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def write_job(
    folder: Path, num_problems: int, *, problems: str = "", slice_size: int = 4, **fields: Any
) -> Path:
    """A job's file, beside its problems where they are not said to be elsewhere.

    On the shipped model's name, as a job needs one that exists.
    """
    write_problems(folder / "p.jsonl", num_problems)
    content = {
        "problems": {"path": problems or "p.jsonl"},
        "generator": {"model": str(MODEL_DIR), "device": "cpu", "groups_in_flight": 16},
        "recipe": "math-shepherd",
        "output": {"problems_per_shard": slice_size},
        **fields,
    }
    file = folder / "job.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def reply(prompt: Prompt, seed: int) -> str:
    """A sum in three steps, right in about half the cases; the same for the same seed."""
    draw = random.Random(seed)
    words = prompt.messages[-1].content.split()
    place = words.index("+")
    right = int(words[place - 1]) + int(words[place + 1].strip("?"))
    answer = right + draw.choice((0, 0, 1, 2))
    steps = [f"Take {right} or so, {draw.randrange(3)}.\n\n", "Add.\n\n"]
    return "".join(steps[prompt.prefix.count("\n\n") :]) + f"The answer is: \\boxed{{{answer}}}"


def breaking_reply(prompt: Prompt, seed: int) -> str | Exception:
    """The same, but for questions with a 7 the engine raises."""
    return KeyError("seven") if "7" in prompt.messages[-1].content else reply(prompt, seed)


@dataclass(frozen=True)
class OpenScripted:
    """Stands for vLLM's opener."""

    delay_s: float
    is_breaking: bool = False

    def __call__(self) -> ScriptedEngine:
        answer = breaking_reply if self.is_breaking else reply
        return ScriptedEngine(answer, delay_s=self.delay_s)


def scripted(section: EngineSection, *, delay_s: float, is_breaking: bool) -> OpenScripted:
    return OpenScripted(delay_s, is_breaking)


def main(*, delay_s: float = 0.0, is_breaking: bool = False, seal_every_s: float = 0.3) -> None:
    from factory import cli, hub, pipeline
    from tests.hub.pusher import QUICK, shorten_pauses

    if "HF_ENDPOINT" in os.environ:
        shorten_pauses()
    hub.push = partial(hub.push, rhythm=QUICK)  # type: ignore[assignment]
    pipeline.label = partial(  # type: ignore[assignment]
        pipeline.label,
        opener=partial(scripted, delay_s=delay_s, is_breaking=is_breaking),
        seal_every_s=seal_every_s,
        rhythm=QUICK,
    )
    cli.main()


if __name__ == "__main__":
    main(**json.loads(os.environ.get(SETTINGS, "{}")))
