"""What a training run is told: one value, checked when it is built, defaults with their sources.

A learning rate, batch or number of epochs that is not given is that of a published run:

| kind | what is trained | learning rate | batch | epochs | schedule | source |
|---|---|---|---|---|---|---|
| discriminative | all | 1e-5 | 32 | 1 | linear | rate TRL's PRMConfig, rest RLHFlow's PRM config |
| discriminative | LoRA | 1e-4 | 32 | 1 | linear | ten times that of all, as is usual with LoRA |
| genprm | all | 2e-6 | 64 | 1 | linear | arXiv 2504.00891, which does not state epochs |
| genprm | LoRA | 2e-5 | 64 | 1 | linear | as above |
| thinkprm | all | 6e-5 | 32 | 3 | constant | arXiv 2504.16828, 1.5B and 7B |
| thinkprm | LoRA | 4e-4 | 16 | 3 | constant | arXiv 2504.16828, 14B: rank 32, alpha 16 |
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from math import isfinite
from pathlib import Path
from typing import Any

from factory.errors import InputError
from factory.training.layouts import EXTRA_0, TRL
from factory.training.prm_file import DISCRIMINATIVE, GENERATIVE

GENPRM, THINKPRM = "genprm", "thinkprm"
HARD, SOFT, COUNTS = "hard", "soft", "counts"
AUTO, CPU = "auto", "cpu"
CROSS_ENTROPY, MEAN_SQUARED_ERROR = "ce", "mse"
KEEP, MASK = "keep", "mask"
DROP, TRUNCATE_AT_STEP, ERROR = "drop", "truncate-at-step", "error"
CHOICES = {
    "device": (AUTO, CPU),
    "kind": (DISCRIMINATIVE, GENERATIVE),
    "layout": (EXTRA_0, TRL, None),
    "labels": (HARD, SOFT, COUNTS),
    "loss": (CROSS_ENTROPY, MEAN_SQUARED_ERROR),
    "after_error": (MASK, KEEP),
    "undecided": (MASK, KEEP, None),
    "too_long": (DROP, TRUNCATE_AT_STEP, ERROR, None),
    "soft_from": ("mc_scores", "value_means", None),
    "scheduler": (
        *("linear", "cosine", "cosine_with_restarts", "polynomial", "constant"),
        *("constant_with_warmup", "inverse_sqrt", None),
    ),
}
RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    **dict.fromkeys(("learning_rate", "epochs", "max_grad_norm"), (lambda x: x > 0, "above 0")),
    **dict.fromkeys(
        ("lora_rank", "warmup_steps", "weight_decay"), (lambda x: x >= 0, "at least 0")
    ),
    **dict.fromkeys(("lora_alpha", "shuffle_buffer"), (lambda x: x >= 1, "at least 1")),
    "seed": (lambda x: 0 <= x < 2**32, "from 0 to 4294967295"),
}
"""Numbers that can be trained with."""
OF_STEPS = (
    *("layout", "separator", "system", "labels", "loss", "soft_from", "after_error", "undecided"),
    "weigh_by_probability",
)
"""Settings of the discriminative kind alone."""
NOT_WHAT_IS_LEARNT = frozenset(
    {
        *("data", "out", "resume", "save_steps", "report_to"),
        *("micro_batch_size", "gradient_checkpointing"),  # the same gradients but for rounding
    }
)
"""Settings a run may be resumed with other values of; the data's content is checked instead of
where it lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The defaults of one row of the table above."""

    learning_rate: float
    batch_size: int
    epochs: float
    scheduler: str = "linear"


SCHEDULES = {
    (DISCRIMINATIVE, False): Schedule(learning_rate=1e-5, batch_size=32, epochs=1),
    (DISCRIMINATIVE, True): Schedule(learning_rate=1e-4, batch_size=32, epochs=1),
    (GENPRM, False): Schedule(learning_rate=2e-6, batch_size=64, epochs=1),
    (GENPRM, True): Schedule(learning_rate=2e-5, batch_size=64, epochs=1),
    (THINKPRM, False): Schedule(learning_rate=6e-5, batch_size=32, epochs=3, scheduler="constant"),
    (THINKPRM, True): Schedule(learning_rate=4e-4, batch_size=16, epochs=3, scheduler="constant"),
}
"""By kind, or the form of a generative one, and whether adapters are trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """A training run. `None` is a default that depends on the kind, the data or the machine."""

    data: str
    """A job's or dataset's folder, a folder or file of rows, or org/name[@revision] on the Hub."""
    model: str
    """A folder, or org/name[@revision] on the Hub."""
    out: Path
    kind: str = DISCRIMINATIVE
    part: str | None = None
    """Of a dataset of ours data, consensus or rationales; `None`: data, and for generative models
    rationales. Of others' on the Hub a configuration; `None`: the default one."""
    split: str = "train"
    layout: str | None = None
    """`None`: that of the model's prm.json, else extra_0."""
    separator: str | None = None
    """`None`: the layout's own, or that of the model's prm.json."""
    system: str | None = None
    """System text of the chat; `None`: as for `separator`; "": none."""
    labels: str = HARD
    loss: str = CROSS_ENTROPY
    soft_from: str | None = None
    """mc_scores or value_means; `None`: value_means where a row has them, else mc_scores."""
    after_error: str = MASK
    undecided: str | None = None
    """`None`: masked with hard labels, kept with soft ones and counts."""
    weigh_by_probability: bool = False
    """Weigh a hard label by the probability that it is right, from `p_good`."""
    max_length: int | None = None
    """Tokens of an example; `None`: 4,096 or what the model can read."""
    too_long: str | None = None
    """`None`: truncate-at-step for discriminative models, drop for generative ones."""
    learning_rate: float | None = None
    batch_size: int | None = None
    """Examples of one step of the optimizer, over all devices."""
    micro_batch_size: int = 4
    """Examples a device computes at a time; gradients of several are summed up to `batch_size`."""
    epochs: float | None = None
    max_steps: int | None = None
    """Steps of the optimizer, whatever the epochs; a stream of unknown length needs it."""
    scheduler: str | None = None
    """One of transformers' that needs no more than the warm-up's steps."""
    warmup_steps: int = 0
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    lora_rank: int = 0
    """0 trains all weights."""
    lora_alpha: int | None = None
    """`None`: half the rank, as ThinkPRM has it."""
    device: str = AUTO
    """auto or cpu: the GPU where there is one, or in no case."""
    bf16: bool | None = None
    """`None`: where the device can."""
    gradient_checkpointing: bool = False
    streaming: bool | None = None
    """Make examples while training; `None`: for data on the Hub. Else all are made first."""
    shuffle_buffer: int = 10_000
    """Rows of a stream that are shuffled together."""
    save_steps: int = 500
    seed: int = 0
    resume: bool = False
    report_to: str = "none"
    """Where the curves go, as transformers knows it: wandb, tensorboard, ..."""
    model_revision: str | None = None
    """What the run finds `model` to be: see `factory.training.base_model`."""

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if (value := getattr(self, name)) not in known:
                listed = ", ".join(choice for choice in known if choice)
                raise InputError(f"no {_option(name)} {value!r}: there are {listed}")
        for name in ("batch_size", "micro_batch_size", "max_length", "max_steps", "save_steps"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"--{_option(name)} {value} has to be at least 1")
        for name, (fits, needs) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and fits(value)):
                raise InputError(f"--{_option(name)} {value} has to be {needs}")
        for name, where in self._without_effect():
            value = getattr(self, name)
            raise InputError(f"--{_option(name)} {value} does nothing {where}: leave it out")
        if self.labels == COUNTS and self.loss == MEAN_SQUARED_ERROR:
            raise InputError("counts have a likelihood, not a squared error: use --labels soft")
        if self.weigh_by_probability and self.labels != HARD:
            raise InputError("only hard labels have a probability to be right: use --labels hard")

    def _without_effect(self) -> Iterator[tuple[str, str]]:
        """Options that were given and would change nothing, and why not."""
        if self.is_generative:
            given = (e.name for e in fields(self) if getattr(self, e.name) != e.default)
            yield from ((name, "for --kind generative") for name in given if name in OF_STEPS)
        elif self.layout == TRL and self.system:
            yield "system", "for --layout trl"
        if not self.is_generative and self.labels != SOFT and self.soft_from is not None:
            yield "soft_from", "without --labels soft"
        if not self.lora_rank and self.lora_alpha is not None:
            yield "lora_alpha", "without --lora-rank"
        if self.max_steps is not None and self.epochs is not None:
            yield "epochs", "beside --max-steps"
        if self.scheduler == "constant" and self.warmup_steps:
            yield "warmup_steps", "with --scheduler constant (constant_with_warmup has it)"

    @property
    def is_generative(self) -> bool:
        return self.kind == GENERATIVE

    @property
    def default_part(self) -> str:
        """The part of a dataset of ours that is read where none is named."""
        return "rationales" if self.is_generative else "data"

    def with_schedule(self, form: str | None) -> "TrainSettings":
        """The same with every default that depends on the kind or form filled in."""
        is_lora = self.lora_rank > 0
        schedule = SCHEDULES[form if self.is_generative and form else DISCRIMINATIVE, is_lora]
        given = {name: getattr(self, name) for name in _names(Schedule) if name != "epochs"}
        return replace(
            self,
            **{n: getattr(schedule, n) if value is None else value for n, value in given.items()},
            epochs=None if self.max_steps else self.epochs or schedule.epochs,
            lora_alpha=self.lora_alpha or (max(1, self.lora_rank // 2) if is_lora else None),
            undecided=self.undecided or self._default_undecided(),
            too_long=self.too_long or (DROP if self.is_generative else TRUNCATE_AT_STEP),
        )

    def _default_undecided(self) -> str | None:
        if self.is_generative:
            return None
        return MASK if self.labels == HARD else KEEP

    def learnt_from(self) -> dict[str, Any]:
        """What the weights depend on, as JSON: a run is resumed under the same of it only."""
        values = asdict(self)
        return {name: v for name, v in values.items() if name not in NOT_WHAT_IS_LEARNT}


def _names(record: type) -> tuple[str, ...]:
    return tuple(entry.name for entry in fields(record))


def _option(name: str) -> str:
    return name.replace("_", "-")
