"""Where engines run: what each reserves, how many there are, how much each has at a time."""

from typing import Any

from factory.errors import InputError
from factory.job import EngineSection

MAX_RESTARTS = 32
"""Of one worker; an engine that dies more often is not worth starting again in this run."""
GROUPS_PER_BLOCK = 4
"""Rows that share a task and a file: few, so that little is lost and the engine never starves."""


def check_resources(section: EngineSection) -> None:
    """Engines that no node can hold would wait for ever without a word.

    Raises InputError.
    """
    import ray

    there = ray.cluster_resources()
    for name, needed in (("CPU", section.num_cpus), ("GPU", num_gpus(section))):
        total = needed * section.num_engines
        if total > there.get(name, 0):
            raise InputError(
                f"{section.num_engines} engines for {section.model} need {total:g} {name}s, the "
                f"cluster has {there.get(name, 0):g}: lower num_engines or num_{name.lower()}s"
            )


def num_gpus(section: EngineSection) -> float:
    """GPUs to reserve per engine: as said, or as many as it runs in parallel on."""
    if section.num_gpus is not None:
        return section.num_gpus
    if section.device == "cpu" or not _has_gpus():
        return 0
    parallel = section.engine_args.get("tensor_parallel_size", 1)
    return float(parallel * section.engine_args.get("pipeline_parallel_size", 1))


def _has_gpus() -> bool:
    import ray

    return ray.cluster_resources().get("GPU", 0) > 0


def placement(section: EngineSection) -> dict[str, Any]:
    """Workers, what each reserves, and how many blocks each has at a time."""
    from ray.data import ActorPoolStrategy

    blocks_in_flight = max(1, section.groups_in_flight // GROUPS_PER_BLOCK)
    return {
        "compute": ActorPoolStrategy(
            size=section.num_engines,
            max_tasks_in_flight_per_actor=2 * blocks_in_flight,
            max_concurrent_calls_per_actor=blocks_in_flight,
        ),
        "num_cpus": section.num_cpus,
        "num_gpus": num_gpus(section),
        "max_restarts": MAX_RESTARTS,
    }
