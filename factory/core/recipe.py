"""A recipe: everything that decides a label, as one value."""

import dataclasses
from dataclasses import dataclass
from enum import Enum
from typing import Any

from factory.core.labelers import HardEstimation, Labeler
from factory.core.planners import FixedK, NoRollouts, Planner
from factory.core.selection import Selection
from factory.core.steps import StepStyle
from factory.core.teaching import Curation, Teaching
from schemas.generation import Sampling
from schemas.ids import digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is sampled, what is kept, how many rollouts are bought, and what they mean.

    The defaults are Math-Shepherd's; a recipe states only what differs from them. Where things
    run and how many engines serve them is the job's business and not in here.
    """

    name: str
    summary: str
    """One line for `prm-factory recipes`."""
    num_solutions: int = 16
    """Solutions sampled per problem; their pass rate is the root's MC score."""
    sampling: Sampling = Sampling()
    """How the generator writes solutions."""
    step_style: StepStyle = StepStyle.AUTO
    selection: Selection = Selection()
    completing: Sampling = Sampling()
    """How the completer writes rollouts."""
    needs_completer_root: bool = False
    """Whether the bare problem's MC score must be the completer's own. If not, the generator's
    pass rate stands for it, whichever model the generator is."""
    planner: Planner = FixedK(num_rollouts=8)
    labeler: Labeler = HardEstimation()
    teaching: Teaching | None = None
    """What a teacher is asked about each solution; `None` asks none."""
    curation: Curation = Curation()
    """Which of its rationales are kept."""

    def __post_init__(self) -> None:
        if self.num_solutions < 1:
            raise ValueError(f"num_solutions must be at least 1, not {self.num_solutions}")

    @property
    def has_given_labels(self) -> bool:
        """Whether labels come with the problems, so that nothing is sampled or completed."""
        return isinstance(self.planner, NoRollouts)

    @property
    def description(self) -> dict[str, Any]:
        """The recipe as JSON-ready values, types of its parts included."""
        described = _described(self)
        assert isinstance(described, dict)
        return described

    @property
    def digest(self) -> str:
        """Names the whole recipe."""
        return digest_of(self.description)

    @property
    def evidence_digest(self) -> str:
        """Names what the counts depend on: not the name, the labeler or the teacher's half."""
        ignored = ("name", "summary", "labeler", "teaching", "curation")
        return digest_of({k: v for k, v in self.description.items() if k not in ignored})


def _described(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = {f.name: _described(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_described(item) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise ValueError(f"a recipe is made of frozen dataclasses, numbers and texts, not of {value!r}")
