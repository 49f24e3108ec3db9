"""What vLLM tells of itself is summed, and the installed vLLM still tells it in these words."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from workers.engine import EngineLoad
from workers.vllm_counters import Counters


def scheduler(**fields: Any) -> SimpleNamespace:
    cache = {"queries": 0, "hits": 0, "preempted_queries": 0, "preempted_hits": 0}
    cache |= {name: fields.pop(name) for name in tuple(fields) if name in cache}
    known = {"num_running_reqs": 0, "num_waiting_reqs": 0, "num_skipped_waiting_reqs": 0}
    return SimpleNamespace(
        prefix_cache_stats=SimpleNamespace(**cache), **known | {"kv_cache_usage": 0.0} | fields
    )


def test_cache_look_ups_add_up_and_the_load_is_the_last_one() -> None:
    counters = Counters(max_concurrency=64)
    counters.record_scheduler(
        scheduler(queries=100, hits=0, num_running_reqs=60, num_waiting_reqs=40, kv_cache_usage=0.9)
    )
    counters.record_scheduler(
        scheduler(queries=100, hits=96, preempted_queries=50, preempted_hits=32, num_running_reqs=2)
    )
    stats = counters.stats()
    assert (stats.num_cache_queries, stats.num_cache_hits) == (250, 128)
    assert stats.load == EngineLoad(num_running=2, max_concurrency=64)


@pytest.mark.engine
def test_the_installed_vllm_uses_these_names() -> None:
    from vllm.v1.metrics.loggers import PrometheusStatLogger
    from vllm.v1.metrics.stats import IterationStats, PrefixCacheStats, SchedulerStats

    def names(record: type) -> set[str]:
        return {field.name for field in dataclasses.fields(record)}

    assert names(SchedulerStats) >= {
        "num_running_reqs",
        "num_waiting_reqs",
        "num_skipped_waiting_reqs",
        "kv_cache_usage",
        "prefix_cache_stats",
    }
    cache = {"queries", "hits", "preempted_queries", "preempted_hits"}
    assert names(PrefixCacheStats) >= cache
    step = IterationStats()
    for name in ("finished_requests", "num_generation_tokens", "num_preempted_reqs"):
        assert hasattr(step, name), name
    assert hasattr(step.prompt_token_stats, "total")
    assert hasattr(step.prompt_token_stats, "cached_tokens")
    assert callable(PrometheusStatLogger.record)
