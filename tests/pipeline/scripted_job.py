"""A whole job on real Ray and a scripted engine, as a process of its own that can be killed.

`python -m tests.pipeline.scripted_job OUT PROBLEMS [name=value ...]`: `delay_s` of every request,
`slice` problems per shard, `push_to` and `rhythm` of a push to the Hub at HF_ENDPOINT.
"""

import json
import random
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from factory.ending import sigterm_ends
from factory.job import EngineSection, Job
from factory.pipeline import label, unwatched
from factory.places import place_of
from factory.toy import MODEL_DIR
from schemas.generation import Prompt
from schemas.manifest import Manifest
from workers.scripted_engine import ScriptedEngine


def write_problems(file: Path, num_problems: int, *, first: int = 0) -> Path:
    """Sums, with their answers."""
    rows = [
        {"question": f"What is {n} + {n % 7}?", "answer": str(n + n % 7)}
        for n in range(first, first + num_problems)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
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


def job_of(problems: str, **fields: Any) -> Job:
    """On the shipped model's name, as a job needs one that exists."""
    content = {
        "problems": {"path": problems},
        "generator": {"model": str(MODEL_DIR), "device": "cpu", "groups_in_flight": 16},
        "recipe": "math-shepherd",
        **fields,
    }
    return Job.model_validate(content)


def run(
    out: str | Path,
    problems: str | Path,
    *,
    delay_s: float = 0.0,
    slice_size: int = 4,
    is_breaking: bool = False,
    seal_every_s: float = 0.3,
    push_to: str | None = None,
    **options: Any,
) -> Manifest:
    """Labels the problems into `out`."""
    job = job_of(str(problems), output={"problems_per_shard": slice_size}, push_to=push_to)
    return label(
        job,
        place_of(str(out)),
        unwatched,
        opener=partial(scripted, delay_s=delay_s, is_breaking=is_breaking),
        seal_every_s=seal_every_s,
        **options,
    )


def main(out: str, problems: str, *settings: str) -> None:
    given = {name: json.loads(value) for name, value in (s.split("=", 1) for s in settings)}
    if given.get("push_to"):
        from tests.hub.pusher import QUICK, shorten_pauses

        shorten_pauses()
        given |= {"rhythm": QUICK, "watch_push": lambda state: print(state, flush=True)}
    run(out, problems, say=partial(print, flush=True), **given)


if __name__ == "__main__":
    with sigterm_ends():
        main(*sys.argv[1:])
