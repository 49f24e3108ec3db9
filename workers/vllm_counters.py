"""What vLLM tells of itself after every step, summed.

vLLM calls the interface of its stat loggers unstable. It is used in this file and nowhere else,
and a test holds the names used here to the installed version.
"""

from typing import Any

from workers.engine import EngineLoad, EngineStats


class Counters:
    """Sums what vLLM reports after every step, and what we sent."""

    def __init__(self, max_concurrency: int = 0) -> None:
        self.num_requests = 0
        self.max_concurrency = max_concurrency
        self._num_finished = 0
        self._num_prompt_tokens = 0
        self._num_cached_prompt_tokens = 0
        self._num_generated_tokens = 0
        self._num_preemptions = 0
        self._num_cache_queries = 0
        self._num_cache_hits = 0
        self._num_running = 0
        self._num_waiting = 0
        self._kv_cache_usage = 0.0

    def record(self, step: Any) -> None:
        """Add vLLM's IterationStats of one step."""
        self._num_finished += len(step.finished_requests)
        self._num_prompt_tokens += step.prompt_token_stats.total
        self._num_cached_prompt_tokens += step.prompt_token_stats.cached_tokens
        self._num_generated_tokens += step.num_generation_tokens
        self._num_preemptions += step.num_preempted_reqs

    def record_scheduler(self, scheduler: Any) -> None:
        """Add vLLM's SchedulerStats of one step, and keep what it says of this moment."""
        cache = scheduler.prefix_cache_stats
        self._num_cache_queries += cache.queries + cache.preempted_queries
        self._num_cache_hits += cache.hits + cache.preempted_hits
        self._num_running = scheduler.num_running_reqs
        self._num_waiting = scheduler.num_waiting_reqs + scheduler.num_skipped_waiting_reqs
        self._kv_cache_usage = scheduler.kv_cache_usage

    def stats(self) -> EngineStats:
        """A snapshot."""
        return EngineStats(
            num_requests=self.num_requests,
            num_finished=self._num_finished,
            num_prompt_tokens=self._num_prompt_tokens,
            num_cached_prompt_tokens=self._num_cached_prompt_tokens,
            num_generated_tokens=self._num_generated_tokens,
            num_preemptions=self._num_preemptions,
            num_cache_queries=self._num_cache_queries,
            num_cache_hits=self._num_cache_hits,
            load=EngineLoad(
                num_running=self._num_running,
                num_waiting=self._num_waiting,
                max_concurrency=self.max_concurrency,
                kv_cache_usage=self._kv_cache_usage,
            ),
        )


def counting_logger(counters: Counters) -> type:
    """A stat logger class for vLLM that feeds `counters`.

    vLLM adds its Prometheus logger, which costs time per token, unless it is given one of that
    class; this one is, and tells Prometheus nothing.
    """
    from vllm.v1.metrics.loggers import PrometheusStatLogger

    class CountingLogger(PrometheusStatLogger):
        def __init__(self, vllm_config: Any, engine_indexes: list[int] | None = None) -> None:
            counters.max_concurrency = vllm_config.scheduler_config.max_num_seqs

        def record(
            self,
            scheduler_stats: Any,
            iteration_stats: Any,
            mm_cache_stats: Any = None,
            engine_idx: int = 0,
        ) -> None:
            if scheduler_stats is not None:
                counters.record_scheduler(scheduler_stats)
            if iteration_stats is not None:
                counters.record(iteration_stats)

        def log_engine_initialized(self) -> None:
            pass

    return CountingLogger
