"""What the shipped tiny teacher says of the solutions in a bank: its first error, and its price."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from factory.bench.bank import BankSolution
from factory.bench.spread import spread
from factory.core.teachers.form import Reading
from factory.toy.critique_sampling import FORM, load_vllm, write_critiques
from factory.toy.teacher import TEACHER_DIR, TEMPERATURE


@dataclass(frozen=True, slots=True, kw_only=True)
class Criticism:
    """One critique of one solution, read."""

    verdicts: list[bool]
    """Up to the first bad step, else one per step; empty where the text cannot be read."""
    reason: str | None
    num_tokens: int

    @property
    def reading(self) -> Reading:
        """As the consensus filter takes it."""
        return Reading(verdicts=tuple(self.verdicts), reason=self.reason)


def criticise(
    path: Path, solutions: Sequence[BankSolution], seed: int, num_processes: int = 1
) -> list[Criticism]:
    """One critique of each solution: read from `path`, or drawn and written there.

    With several processes each has a teacher of one thread, and a share of the solutions.
    """
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        assert len(found) == len(solutions), f"{path} is about other solutions: delete it"
        return [Criticism(**row) for row in found]
    size = -(-len(solutions) // num_processes)
    shares = [(solutions[i : i + size], seed + i) for i in range(0, len(solutions), size)]
    criticisms = spread(_criticise, shares)
    path.write_text(json.dumps([asdict(c) for c in criticisms]), encoding="utf-8")
    return criticisms


def _criticise(share: tuple[Sequence[BankSolution], int]) -> list[Criticism]:
    """Of solutions, by the teacher with a seed."""
    solutions, seed = share
    os.environ["OMP_NUM_THREADS"] = "1"
    asked = [(solution.question, tuple(solution.steps)) for solution in solutions]
    written = write_critiques(load_vllm(TEACHER_DIR), asked, TEMPERATURE, seed)
    read = [FORM.read(w.text, len(s.steps)) for w, s in zip(written, solutions, strict=True)]
    return [
        Criticism(verdicts=list(r.verdicts), reason=r.reason, num_tokens=w.num_tokens)
        for w, r in zip(written, read, strict=True)
    ]
