"""What to evaluate on, and where scores turn bad."""

from dataclasses import dataclass
from pathlib import Path

from factory.errors import InputError

TOY_FOLDER = Path(__file__).parents[1] / "toy" / "benchmarks"
TOY_PROCESSBENCH, TOY_BEST_OF = TOY_FOLDER / "processbench.jsonl", TOY_FOLDER / "best_of_8.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalInputs:
    """What to evaluate on: files, folders, or datasets on the Hub. None named is the toy world."""

    processbench: str | None = None
    best_of: str | None = None
    labels: str | None = None
    labels_format: str | None = None
    """`None` guesses from the first row."""
    prmbench: str | None = None
    limit: int | None = None
    """Take only the first rows of each."""
    split: str | None = None
    """Of the datasets on the Hub; `None` is all of them."""

    @property
    def is_empty(self) -> bool:
        return not any((self.processbench, self.best_of, self.labels, self.prmbench))


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalSettings:
    """Where scores turn bad."""

    threshold: float | None = None
    """ProcessBench's; `None` chooses it on a subset."""
    threshold_subset: str | None = None
    """`None` is GSM8K where it is there, else the first."""
    step_threshold: float = 0.5
    """For agreement with labels, and PRMBench."""

    def __post_init__(self) -> None:
        for name in ("threshold", "step_threshold"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"{name} must lie in [0, 1], not {value}")
        if self.threshold is not None and self.threshold_subset is not None:
            raise InputError("a threshold is given or chosen on a subset, not both")


def toy_inputs(limit: int | None = None, folder: Path = TOY_FOLDER) -> EvalInputs:
    """The toy world's own benchmarks, or others of their kind. Raises InputError without them."""
    processbench, best_of = (folder / file.name for file in (TOY_PROCESSBENCH, TOY_BEST_OF))
    if not (processbench.is_file() and best_of.is_file()):
        raise InputError("nothing to evaluate on: name --processbench, --best-of, --labels, ...")
    return EvalInputs(processbench=str(processbench), best_of=str(best_of), limit=limit)
