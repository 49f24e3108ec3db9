"""Asks Ray for what a placement says: actors, and placement groups for engines across nodes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from factory.errors import InputError
from factory.job import EngineSection
from factory.placement import MAX_RESTARTS, Node, Placement, check_room, placement

POLL_S = 1.0


def cluster_nodes() -> list[Node]:
    """The nodes that are alive now."""
    import ray

    return [
        Node(
            node_id=node["NodeID"],
            name=f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})",
            resources=node["Resources"],
            labels=node.get("Labels") or {},
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def beside_the_driver() -> dict[str, Any]:
    """Options of an actor without which a stage cannot end: it is lost with the driver's node, not
    with any other."""
    import ray

    return _on_node(ray.get_runtime_context().get_node_id())


def call_on(
    node_id: str, function: Callable[..., object], *arguments: Any, max_retries: int = 0
) -> Any:
    """A reference to what the function returns on that node, where it takes no CPU of Ray's."""
    import ray

    task = ray.remote(num_cpus=0, max_retries=max_retries, **_on_node(node_id))(function)
    return task.remote(*arguments)


def _on_node(node_id: str) -> dict[str, Any]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node_id, soft=False)}


def room_for(section: EngineSection) -> Placement:
    """The placement of a section's engines, once the cluster has room for the fewest of them.

    Where the section waits for nodes, the autoscaler is asked for what is missing. Raises
    InputError when there is no room and none came.
    """
    deadline_s = time.monotonic() + section.wait_for_nodes_s
    has_asked = False
    while True:
        nodes = cluster_nodes()
        wanted = placement(section, nodes)
        try:
            check_room(wanted, nodes)
        except InputError as error:
            if time.monotonic() >= deadline_s:
                if has_asked:
                    _ask_autoscaler([], {})
                    waited = f" (waited {section.wait_for_nodes_s:g} s for nodes)"
                    raise InputError(f"{error}{waited}") from error
                raise
            if not has_asked:
                _ask_autoscaler(wanted.bundles * wanted.min_engines, wanted.node_labels)
                has_asked = True
            time.sleep(POLL_S)
            continue
        if has_asked:
            _ask_autoscaler([], {})  # from here on the engines themselves hold the nodes
        return wanted


def _ask_autoscaler(bundles: list[dict[str, float]], labels: dict[str, str]) -> None:
    """Without an autoscaler nobody listens."""
    from ray.autoscaler.sdk import request_resources

    request_resources(bundles=bundles, bundle_label_selectors=[labels] * len(bundles))


@contextmanager
def actor_options(wanted: Placement) -> Iterator[dict[str, Any]]:
    """Arguments of `map_batches` for the engines' actors; their placement groups go at the end."""
    from ray.data import ActorPoolStrategy

    options: dict[str, Any] = {
        "compute": ActorPoolStrategy(
            min_size=wanted.min_engines,
            max_size=wanted.max_engines,
            max_tasks_in_flight_per_actor=2 * wanted.blocks_in_flight,
            max_concurrent_calls_per_actor=wanted.blocks_in_flight,
        ),
        "num_cpus": wanted.needs.get("CPU", 0),
        "max_restarts": MAX_RESTARTS,
    }
    if wanted.num_bundles > 1:
        with _groups(wanted) as group_options:
            yield {**options, "num_gpus": 0, "ray_remote_args_fn": group_options}
        return
    named = ("CPU", "GPU", f"accelerator_type:{wanted.accelerator_type}")
    custom = {name: amount for name, amount in wanted.needs.items() if name not in named}
    yield {
        **options,
        "num_gpus": wanted.needs.get("GPU", 0),
        **({"resources": custom} if custom else {}),
        **({"label_selector": wanted.node_labels} if wanted.node_labels else {}),
        **({"accelerator_type": wanted.accelerator_type} if wanted.accelerator_type else {}),
    }


@contextmanager
def _groups(wanted: Placement) -> Iterator[Any]:
    """A function that makes a placement group for one more actor, called in this process."""
    from ray.util import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    made = []
    labels = [wanted.node_labels] * wanted.num_bundles if wanted.node_labels else None

    def one_more() -> dict[str, Any]:
        made.append(placement_group(wanted.bundles, strategy="PACK", bundle_label_selector=labels))
        return {
            "scheduling_strategy": PlacementGroupSchedulingStrategy(
                made[-1],
                placement_group_bundle_index=0,
                placement_group_capture_child_tasks=True,  # vLLM's own actors go into it
            )
        }

    try:
        yield one_more
    finally:
        for group in made:
            remove_placement_group(group)
