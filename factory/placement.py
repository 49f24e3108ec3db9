"""Where engines run: what each reserves, how many fit, and what the rest keeps away from.

Pure: a cluster is a list of nodes, and what comes out says what to ask Ray for.
"""

from dataclasses import dataclass, field
from math import floor, inf
from typing import Any

from factory.errors import InputError
from factory.job import EngineSection

MAX_RESTARTS = 32
"""Of one worker; an engine that dies more often is not worth starting again in this run."""
GROUPS_PER_BLOCK = 4
"""Rows that share a task and a file: few, so that little is lost and the engine never starves."""
SHARED_GPU_MEMORY = 0.9
"""Of a GPU's memory that engines sharing it take together."""
ROUNDING = 1e-9
NODE_ID = "ray.io/node-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine of the cluster that is alive."""

    node_id: str
    name: str
    """For a person."""
    resources: dict[str, float]
    """All it has, also what is in use: CPU, GPU, accelerator_type:H100, ..."""
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What the engines of a section ask of the cluster."""

    model: str
    min_engines: int
    max_engines: int
    needs: dict[str, float]
    """Of each engine, by Ray's names. Across nodes: of one of its `num_bundles` parts."""
    num_bundles: int = 1
    """Parts of an engine; more than one may lie on different nodes."""
    node_labels: dict[str, str] = field(default_factory=dict)
    accelerator_type: str | None = None
    engine_args: dict[str, Any] = field(default_factory=dict)
    """The job's, and what follows from the placement."""
    blocks_in_flight: int = 1

    @property
    def bundles(self) -> list[dict[str, float]]:
        """One for each GPU; the engine's own process sits in the first."""
        gpu = {k: v for k, v in self.needs.items() if k != "CPU"}
        return [dict(self.needs), *(dict(gpu) for _ in range(self.num_bundles - 1))]


def placement(section: EngineSection, nodes: list[Node]) -> Placement:
    """What this section's engines reserve on a cluster of these nodes.

    One GPU or a share of it: an engine without processes for other GPUs. Several on one node: the
    engine's actor reserves them all and vLLM starts its own processes. Across nodes: a bundle for
    each GPU, packed as close as there is room, and vLLM starts Ray actors in them.
    """
    gpus = num_gpus(section, nodes)
    is_spread = section.across_nodes and gpus > 1
    needs = {"CPU": section.num_cpus, "GPU": 1.0 if is_spread else gpus, **section.resources}
    if section.accelerator_type:
        needs[f"accelerator_type:{section.accelerator_type}"] = 0.001
    return Placement(
        model=section.model,
        min_engines=section.min_engines,
        max_engines=section.max_engines,
        needs={name: amount for name, amount in needs.items() if amount},
        num_bundles=int(gpus) if is_spread else 1,
        node_labels=section.node_labels,
        accelerator_type=section.accelerator_type,
        engine_args=engine_args(section, gpus),
        blocks_in_flight=max(1, section.groups_in_flight // GROUPS_PER_BLOCK),
    )


def num_gpus(section: EngineSection, nodes: list[Node]) -> float:
    """GPUs to reserve per engine: as said, or as many as it runs in parallel on."""
    if section.num_gpus is not None:
        return section.num_gpus
    has_gpus = any(node.resources.get("GPU", 0) for node in nodes)
    if section.device == "cpu" or (section.device == "auto" and not has_gpus):
        return 0
    return float(section.world_size)


def engine_args(section: EngineSection, gpus: float) -> dict[str, Any]:
    """vLLM's arguments with what the placement decides, where the job says nothing."""
    implied: dict[str, Any] = {}
    if 0 < gpus < 1 and "kv_cache_memory_bytes" not in section.engine_args:
        implied["gpu_memory_utilization"] = round(SHARED_GPU_MEMORY * gpus, 3)
    if section.across_nodes and gpus > 1:
        implied["distributed_executor_backend"] = "ray"
    return implied | section.engine_args


def check_room(wanted: Placement, nodes: list[Node]) -> None:
    """Engines that no node can hold would wait for ever without a word.

    Raises InputError.
    """
    eligible = [n for n in nodes if has_labels(n, wanted.node_labels)]
    if not eligible:
        labels = ", ".join(f"{k}={v}" for k, v in wanted.node_labels.items())
        raise InputError(f"no node of the cluster has the labels {labels}: change node_labels")
    for name, needed in wanted.needs.items():
        largest = max(node.resources.get(name, 0) for node in eligible)
        if needed > largest + ROUNDING:
            raise InputError(
                f"an engine for {wanted.model} needs {needed:g} {_plural(name, needed)} on one "
                f"node, the largest has {largest:g}: {_way_out(name)}"
            )
    num_fitting = engines_that_fit(wanted, eligible)
    if num_fitting < wanted.min_engines:
        needs = ", ".join(
            f"{amount * wanted.min_engines * wanted.num_bundles:g} {_plural(name, 2)}"
            for name, amount in wanted.needs.items()
            if name == "GPU" or (name == "CPU" and wanted.num_bundles == 1)
        )
        raise InputError(
            f"{wanted.min_engines} engines for {wanted.model} need {needs}, and the cluster has "
            f"room for {num_fitting}: lower num_engines, or set wait_for_nodes_s where nodes are "
            "still to come"
        )


def _plural(name: str, amount: float) -> str:
    if name in ("CPU", "GPU"):
        return name if amount == 1 else f"{name}s"
    return f"of {name!r}"


def _way_out(name: str) -> str:
    if name == "GPU":
        return "lower tensor_parallel_size or num_gpus, or set across_nodes: true"
    if name.startswith("accelerator_type:"):
        return "take an accelerator_type that the cluster has"
    return "lower num_cpus" if name == "CPU" else f"lower resources.{name}"


def engines_that_fit(wanted: Placement, nodes: list[Node]) -> int:
    """How many engines an empty cluster holds; `max_engines` where nothing bounds them."""
    parts = sum(_parts_on(wanted.needs, node) for node in nodes)
    if wanted.num_bundles > 1:
        first = sum(_parts_on({"CPU": wanted.needs.get("CPU", 0)}, node) for node in nodes)
        bundle = {name: v for name, v in wanted.needs.items() if name != "CPU"}
        parts = min(first, sum(_parts_on(bundle, node) for node in nodes) // wanted.num_bundles)
    return wanted.max_engines if parts == inf else int(parts)


def _parts_on(needs: dict[str, float], node: Node) -> float:
    """Infinite where nothing is needed."""
    return min((_times(node.resources.get(n, 0), v, n) for n, v in needs.items() if v), default=inf)


def _times(available: float, needed: float, name: str) -> float:
    if name == "GPU" and needed < 1:  # shares of two GPUs do not add up to an engine
        return floor(available) * floor(1 / needed + ROUNDING)
    return floor(available / needed + ROUNDING)


def has_labels(node: Node, selector: dict[str, str]) -> bool:
    """Whether a node's labels match, by the rules of Ray's selectors: x, !x, in(x,y), !in(x,y)."""
    return all(_matches(node.labels.get(name), wanted) for name, wanted in selector.items())


def _matches(label: str | None, wanted: str) -> bool:
    is_negated, value = wanted.startswith("!"), wanted.removeprefix("!")
    is_list = value.startswith("in(") and value.endswith(")")
    values = [v.strip() for v in value[3:-1].split(",")] if is_list else [value]
    return (label in values) != is_negated


def task_options(nodes: list[Node]) -> dict[str, Any]:
    """Options of tasks that read and filter: on nodes without GPUs as far as there are any.

    Ray takes the first of the selectors that some node can satisfy; the last one is any node.
    """
    without = [n for n in nodes if not n.resources.get("GPU") and n.resources.get("CPU", 0) >= 1]
    if not without or len(without) == len(nodes):
        return {}
    ids = ",".join(sorted(node.node_id for node in without))
    return {
        "label_selector": {NODE_ID: f"in({ids})"},
        "fallback_strategy": [{"label_selector": {}}],
    }
