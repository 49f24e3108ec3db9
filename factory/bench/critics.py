"""What the shipped tiny teacher says of the solutions in a bank: its first error, and its price."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from factory.bench.bank import BankSolution
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


def criticise(path: Path, solutions: Sequence[BankSolution], seed: int) -> list[Criticism]:
    """One critique of each solution: read from `path`, or drawn and written there."""
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        assert len(found) == len(solutions), f"{path} is about other solutions: delete it"
        return [Criticism(**row) for row in found]
    asked = [(solution.question, tuple(solution.steps)) for solution in solutions]
    written = write_critiques(load_vllm(TEACHER_DIR), asked, TEMPERATURE, seed)
    read = [FORM.read(w.text, len(s.steps)) for w, s in zip(written, solutions, strict=True)]
    criticisms = [
        Criticism(verdicts=list(r.verdicts), reason=r.reason, num_tokens=w.num_tokens)
        for w, r in zip(written, read, strict=True)
    ]
    path.write_text(json.dumps([asdict(c) for c in criticisms]), encoding="utf-8")
    return criticisms
