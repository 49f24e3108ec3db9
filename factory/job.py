"""A job: where problems come from, which models run where, what is written."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from factory.core.prompts import STEP_BY_STEP
from factory.engine_args import holds_secret, misspelled, secret_in
from workers.engine_args import world_size

ROLES = ("generator", "completer", "teacher")
UNION_TAGS = ("[number]", "[range]")
"""Of a field that is one or the other; pydantic puts them into the place of an error."""


class Section(BaseModel):
    """A part of the job file; unknown fields are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProblemsSection(Section):
    """Where problems come from: a JSONL or Parquet file, a folder of either, or a Hub dataset."""

    path: str = Field(min_length=1)
    split: str = "train"
    """Split of a Hub dataset."""
    config: str | None = None
    """Configuration of a Hub dataset."""
    columns: dict[Literal["question", "answer", "problem_id", "solutions", "labels"], str] = {}
    """The input's column for each field; what is not named is guessed from usual names."""
    limit: int | None = Field(default=None, ge=1)
    """Take only the first problems."""
    too_long: Literal["stop", "drop"] = "stop"
    """What to do when a question does not fit the generator's context."""

    @field_validator("path")
    @classmethod
    def _holds_no_secret(cls, value: str) -> str:
        if holds_secret(value):
            raise PydanticCustomError(
                "secret",
                "a password does not belong in a job file, and this path would be published with "
                "the dataset: credentials come from the environment (AWS_*, HF_TOKEN)",
            )
        return value


class EngineRange(Section):
    """So many engines as the cluster has room for, within bounds."""

    min: int = Field(default=1, ge=1)
    """Without room for these nothing is started."""
    max: int = Field(ge=1)

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max}")
        return self


NumEngines = Annotated[
    Annotated[int, Field(ge=1), Tag(UNION_TAGS[0])] | Annotated[EngineRange, Tag(UNION_TAGS[1])],
    Discriminator(lambda v: UNION_TAGS[isinstance(v, dict | EngineRange)]),
]


class EngineSection(Section):
    """A model, the engines that serve it and what each of them gets."""

    model: str = Field(min_length=1)
    """A folder in Hugging Face's layout, or a Hub id."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    num_engines: NumEngines = 1
    """A number, or `{min: 1, max: 8}`."""
    num_cpus: float = Field(default=1, ge=0)
    """CPU cores Ray reserves for each engine."""
    num_gpus: float | None = Field(default=None, ge=0)
    """GPUs Ray reserves for each engine; by default as many as it runs in parallel on. Below 1
    engines share a GPU, and each is told to take its share of the memory."""
    across_nodes: bool = False
    """An engine may be spread over nodes: for a model too large for the GPUs of one."""
    resources: dict[str, Annotated[float, Field(gt=0)]] = {}
    """Custom resources of the cluster that each engine takes; across nodes, each GPU of it."""
    node_labels: dict[str, str] = {}
    """Labels of nodes for engines, as Ray's label selectors: `{pool: a100, spot: "!yes"}`."""
    accelerator_type: str | None = None
    """Ray's name of the GPU, where a cluster has several kinds: H100, A100, L4, ..."""
    groups_in_flight: int = Field(default=64, ge=1)
    """Problem groups an engine works on at a time, at most."""
    hang_timeout_s: float = Field(default=600.0, gt=0)
    """An engine with work that makes no token for so long counts as dead and is replaced, and so
    does a worker that says nothing."""
    wait_for_nodes_s: float = Field(default=0.0, ge=0)
    """How long to wait for nodes that an autoscaler still has to bring."""
    engine_args: dict[str, Any] = {}
    """Passed to vLLM as they are: tensor_parallel_size, dtype, max_model_len, ..."""

    @property
    def min_engines(self) -> int:
        """Engines without which the stage does not start."""
        return self.num_engines if isinstance(self.num_engines, int) else self.num_engines.min

    @property
    def max_engines(self) -> int:
        """Engines that it has at most."""
        return self.num_engines if isinstance(self.num_engines, int) else self.num_engines.max

    @field_validator("engine_args")
    @classmethod
    def _is_readable_and_without_secrets(cls, value: dict[str, Any]) -> dict[str, Any]:
        if found := secret_in(value):
            raise PydanticCustomError("secret", "{found}", {"found": found})
        if found := misspelled(value):
            raise ValueError(found)
        return value

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        share = self.num_gpus or 0
        if share > 1 and share != int(share):
            raise ValueError(f"num_gpus {share:g} is neither a share of one GPU nor a whole number")
        if 0 < share < 1 and self.world_size > 1:
            raise ValueError(
                f"num_gpus {share:g} is a share of one GPU, engine_args ask for {self.world_size}"
            )
        if share >= 1 and share != self.world_size:
            raise ValueError(
                f"num_gpus {share:g}, and engine_args ask for {self.world_size}: leave num_gpus "
                "out, or make the parallel sizes agree with it"
            )
        if self.across_nodes and not isinstance(self.num_engines, int):
            raise ValueError("across_nodes needs num_engines to be a number, not a range")
        return self

    @property
    def world_size(self) -> int:
        """GPUs that an engine runs in parallel on, if it runs on GPUs."""
        return world_size(self.engine_args)


class ModelSection(EngineSection):
    """A model that solves problems. What a teacher is told is the recipe's business."""

    system: str | None = STEP_BY_STEP


class SandboxSection(Section):
    """Where code that a teacher writes is executed: beside its engine, in processes of its own."""

    num_processes: int = Field(default=2, ge=1)
    """For each engine."""
    wall_s: float = Field(default=5.0, gt=0)
    """Seconds a block of code may take with a processor to itself; one that waits, 12 times as
    long."""
    memory_mb: int = Field(default=1024, ge=256)
    unsafe: bool = False
    """Execute without isolation where none can be set up. Never for models you do not trust."""


class OutputSection(Section):
    """How the dataset is written."""

    format: Literal["parquet", "arrow"] = "parquet"
    problems_per_shard: int | None = Field(default=None, ge=1)
    """By default a 32nd part of the job, at least 64 and at most 5,000."""
    rows_per_row_group: int = Field(default=4_000, ge=1)


class PushSection(Section):
    """How the dataset goes to the Hub."""

    revision: str = Field(default="main", min_length=1)
    """Branch to commit to."""
    private: bool | None = None
    """If the repository has to be made; by default what its owner's settings say."""


class Job(Section):
    """A labelling job."""

    problems: ProblemsSection
    generator: ModelSection | None = None
    """Writes the solutions; not needed where they are given."""
    completer: ModelSection | None = None
    """Writes the rollouts; by default the generator."""
    teacher: EngineSection | None = None
    """Writes rationales, where the recipe asks for them."""
    sandbox: SandboxSection = SandboxSection()
    recipe: str = "adaptive"
    seed: int = Field(default=0, ge=0)
    output: OutputSection = OutputSection()
    push_to: str | None = None
    """Dataset repository on the Hub, org/name, that gets each shard as soon as it is sealed."""
    push: PushSection = PushSection()

    @property
    def completing(self) -> ModelSection:
        """The model that writes the rollouts."""
        section = self.completer or self.generator
        assert section is not None, "a job that needs rollouts is refused without a model"
        return section

    @property
    def engine_cpus(self) -> float:
        """CPUs that the engines of the largest stage reserve."""
        sections: list[EngineSection] = [s for r in ROLES if (s := getattr(self, r)) is not None]
        return max(section.min_engines * section.num_cpus for section in sections)
