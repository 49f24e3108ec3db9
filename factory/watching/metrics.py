"""Every metric of the factory: its name, what it counts, where its value comes from.

Ray exports them on each node's metrics port: `prm_factory_rows_done` is found there as
`ray_prm_factory_rows_done_total`. Counters only grow, over restarts of workers too; gauges hold
what is now, and are 0 when their stage has ended. Prometheus keeps the label `job` for itself, so
a job of ours is named by `job_digest`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from factory.watching.status import JobStatus, StageStatus
from workers.tally import WorkerCounts

PREFIX = "prm_factory_"
Kind = Literal["counter", "gauge"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Generic[T]):
    """One metric, made of a value of type T; `None` is not reported."""

    name: str
    kind: Kind
    help: str
    value: Callable[[T], float | None]

    @property
    def exported_name(self) -> str:
        """As Prometheus sees it."""
        return f"ray_{self.name}" + ("_total" if self.kind == "counter" else "")


def _counter(name: str, help: str, value: Callable[[T], float | None]) -> Metric[T]:
    return Metric(name=PREFIX + name, kind="counter", help=help, value=value)


def _gauge(name: str, help: str, value: Callable[[T], float | None]) -> Metric[T]:
    return Metric(name=PREFIX + name, kind="gauge", help=help, value=value)


ENGINE_TAGS = ("job_digest", "stage", "engine")
"""`engine` names the place of a worker; whoever replaces it has the same."""
ENGINE_METRICS: tuple[Metric[WorkerCounts], ...] = (
    _counter("rows_done", "Problem groups stored as done", lambda c: c.num_ok),
    _counter("rows_dropped", "Problem groups decided against", lambda c: c.num_dropped),
    _counter("rows_failed", "Problem groups that failed", lambda c: c.num_failed),
    _counter("rollouts", "Completions graded", lambda c: c.program.num_rollouts),
    _counter("rollouts_ungraded", "Rollouts without a verdict", lambda c: c.program.num_ungraded),
    _counter(
        "grader_timeouts",
        "Rollouts whose answer took too long to compare",
        lambda c: c.program.num_grader_timeouts,
    ),
    _counter("rounds", "Plans carried out, over solutions", lambda c: c.program.num_rounds),
    _counter("steps", "Steps whose rollouts are complete", lambda c: c.program.num_steps),
    _counter(
        "steps_undecided", "Of these, without a decided label", lambda c: c.program.num_undecided
    ),
    _counter("code_runs", "Blocks of code executed", lambda c: c.program.num_code_runs),
    _counter(
        "sandbox_timeouts", "Blocks that ran out of time", lambda c: c.program.num_code_timeouts
    ),
    _counter(
        "sandbox_stopped",
        "Blocks ended by memory, output or a forbidden call",
        lambda c: c.program.num_code_stopped,
    ),
    _counter("completions", "Completions finished", lambda c: c.engine.num_finished),
    _counter("generated_tokens", "Tokens generated", lambda c: c.engine.num_generated_tokens),
    _counter("prompt_tokens", "Prompt tokens taken in", lambda c: c.engine.num_prompt_tokens),
    _counter(
        "prefix_cache_queries",
        "Prompt tokens looked up in the prefix cache",
        lambda c: c.engine.num_cache_queries,
    ),
    _counter("prefix_cache_hits", "Of these, found there", lambda c: c.engine.num_cache_hits),
    _counter(
        "preemptions", "Completions put back for want of KV", lambda c: c.engine.num_preemptions
    ),
    _gauge("rows_in_flight", "Problem groups being worked on", lambda c: c.num_in_flight),
    _gauge("requests_running", "Completions being computed", lambda c: c.engine.load.num_running),
    _gauge("requests_waiting", "Completions not begun", lambda c: c.engine.load.num_waiting),
    _gauge(
        "requests_capacity",
        "Completions the engine computes at a time",
        lambda c: c.engine.load.max_concurrency,
    ),
    _gauge(
        "kv_cache_usage", "Share of the KV cache in use", lambda c: c.engine.load.kv_cache_usage
    ),
)

STAGE_TAGS = ("job_digest", "stage")
STAGE_METRICS: tuple[Metric[StageStatus], ...] = (
    _counter("engine_deaths", "Engines that died", lambda s: s.num_engine_deaths),
    _counter("workers_replaced", "Workers replaced", lambda s: s.num_workers_replaced),
    _counter("engine_seconds", "Time engines were reserved", lambda s: s.engine_s),
    _counter("gpu_seconds", "GPU time reserved", lambda s: s.gpu_s),
    _gauge("engines", "Engines that are up", lambda s: s.num_engines),
    _gauge("rows_to_do", "Problem groups to do in this run", lambda s: s.num_groups),
    _gauge("rows_stored_before", "Problem groups of earlier runs", lambda s: s.num_stored),
    _gauge("seconds_left", "Time left, from the rate of rows", lambda s: s.left_s),
    _gauge("gpu_seconds_projected", "GPU time at the stage's end", lambda s: s.projected_gpu_s),
    _gauge("tokens_projected", "Tokens at the stage's end", lambda s: s.projected_tokens),
)

JOB_TAGS = ("job_digest",)
JOB_METRICS: tuple[Metric[JobStatus], ...] = (
    _gauge("shards_sealed", "Shards published", lambda j: j.num_shards_sealed),
    _gauge("shards_pushed", "Shards the Hub holds", lambda j: j.num_shards_pushed),
)

ALL_METRICS = (*ENGINE_METRICS, *STAGE_METRICS, *JOB_METRICS)
