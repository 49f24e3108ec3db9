"""What a watcher gets of a stage that is about to run."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from factory.watching.status import StageStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """What a watcher of a running stage needs."""

    name: str
    num_groups: int
    """Groups to do in this run; those stored by earlier runs are not among them."""
    num_stored: int
    tally: Any
    """Handle of the stage's `Tally` actor."""
    num_engines: int = 1
    """At most."""
    min_engines: int = 1
    """Reserved from the beginning on."""
    num_gpus: float = 0.0
    """Reserved for each engine."""
    engine_s_before: float = 0.0
    """What earlier runs reserved of engines and GPUs."""
    gpu_s_before: float = 0.0

    @property
    def blank(self) -> StageStatus:
        """Its status before anything is known of its workers."""
        return StageStatus(
            name=self.name,
            num_groups=self.num_groups,
            num_stored=self.num_stored,
            num_engines_asked=self.num_engines,
            engine_s_before=self.engine_s_before,
            gpu_s_before=self.gpu_s_before,
        )


Watch = Callable[[StageRun], AbstractContextManager[None]]


def unwatched(run: StageRun) -> AbstractContextManager[None]:
    """A `Watch` that looks away."""
    return nullcontext()
