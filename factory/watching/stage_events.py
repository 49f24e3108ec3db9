"""What happened in a stage between two readings of its workers."""

from collections.abc import Callable, Mapping
from typing import Any

from workers.tally import WorkerCounts

Say = Callable[..., Any]


class StageEvents:
    """Says once what each reading shows for the first time."""

    def __init__(self, stage: str, say: Say) -> None:
        self._stage = stage
        self._say = say
        self._known: dict[str, WorkerCounts] = {}

    def read(self, workers: Mapping[str, WorkerCounts]) -> None:
        """Compares with the reading before."""
        slots = {counts.slot for counts in self._known.values()}
        for incarnation, counts in workers.items():
            before = self._known.get(incarnation)
            if before is None:
                if counts.slot in slots:
                    self._tell("worker replaced", counts)
                slots.add(counts.slot)
                seconds = round(counts.engine_start_s, 2)
                self._tell("engine up", counts, seconds=seconds)
                before = WorkerCounts()
            if counts.death is not None and before.death is None:
                self._tell("engine died", counts, reason=counts.death)
            self._tell_failures(counts, counts.num_failed - before.num_failed)
        self._known = dict(workers)

    def _tell_failures(self, counts: WorkerCounts, num_new: int) -> None:
        named = counts.recent_failures[-num_new:] if num_new > 0 else ()
        for failed in named:
            self._tell("group failed", counts, problem_id=failed.problem_id, reason=failed.reason)
        if (num_unnamed := num_new - len(named)) > 0:
            self._tell("groups failed", counts, num_groups=num_unnamed)

    def _tell(self, name: str, counts: WorkerCounts, **fields: Any) -> None:
        self._say(name, stage=self._stage, engine=counts.slot, **fields)
