"""A Ray cluster of several pretended nodes with pretended GPUs; runs in a process of its own.

    python -m tests.pipeline.clusters SCENE FOLDER

Ray schedules by what nodes say they have, so that everything but the GPUs is real. A scene prints
one JSON object; the tests judge it.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from factory.errors import InputError
from factory.job import ModelSection
from factory.stage_folder import StageFolder
from factory.stages import run_stage
from factory.stored import rows_in
from schemas.records import ProblemGroup, Status
from tests.pipeline.test_stages_on_ray import rows_of, silent_engine, store
from workers.admission import Admission
from workers.program import AnswerGrader

NODE = {"object_store_memory": 80 << 20}


@dataclass(frozen=True)
class WhereAmI:
    """A program that notes what Ray gave its engine."""

    sleep_s: float = 0.3

    async def __call__(
        self, group: ProblemGroup, engine: Admission, grader: AnswerGrader
    ) -> ProblemGroup:
        import asyncio

        import ray

        await asyncio.sleep(self.sleep_s)
        context, placed = ray.get_runtime_context(), ray.util.get_current_placement_group()
        where = {
            "pid": os.getpid(),
            "node": context.get_node_id(),
            "gpus": context.get_accelerator_ids().get("GPU", []),
            "bundles": placed.bundle_specs if placed else None,
        }
        return replace(group, status=Status.OK, reason=None, metadata=json.dumps(where))


def run(folder: Path, name: str, num_groups: int = 8, **fields: Any) -> list[dict[str, Any]]:
    """Where each group was worked on."""
    stage = StageFolder(path=folder / name)
    run_stage(
        pending=rows_in(store(folder / f"{name}-in", num_groups)),
        folder=stage.open_pass(),
        program=WhereAmI(),
        section=ModelSection(model="scripted", groups_in_flight=4, **fields),
        tally=None,
        open_engine=silent_engine,
    )
    return [json.loads(str(row["metadata"])) for row in rows_of(stage)]


def refusal(folder: Path, **fields: Any) -> str:
    try:
        run(folder, "refused", **fields)
    except InputError as error:
        return str(error)
    return ""


def shared_gpu(cluster: Any, folder: Path) -> dict[str, Any]:
    """Two engines on the one GPU there is."""
    cluster.add_node(num_cpus=4, num_gpus=1, **NODE)
    cluster.wait_for_nodes()
    return {"where": run(folder, "stage", num_groups=160, num_engines=2, num_gpus=0.5)}


def across_nodes(cluster: Any, folder: Path) -> dict[str, Any]:
    """Two stages after each other whose one engine needs all GPUs of two nodes."""
    from ray.util import placement_group_table

    for _ in range(2):
        cluster.add_node(num_cpus=2, num_gpus=2, **NODE)
    cluster.wait_for_nodes()
    fields = {"across_nodes": True, "engine_args": {"tensor_parallel_size": 4}}
    stages = [run(folder, name, **fields) for name in ("first", "second")]
    groups = placement_group_table().values()
    return {
        "stages": stages,
        "states": [group["state"] for group in groups],
        "nodes": [len(set(group["bundles_to_node_id"].values())) for group in groups],
        "refusal": refusal(folder, engine_args={"tensor_parallel_size": 4}),
    }


def ranges(cluster: Any, folder: Path) -> dict[str, Any]:
    """A range of engines, and where light tasks go."""
    import ray

    from factory.engine_actors import cluster_nodes
    from factory.placement import task_options

    for _ in range(2):
        cluster.add_node(num_cpus=2, num_gpus=2, **NODE)
    cluster.wait_for_nodes()
    options = task_options(cluster_nodes())
    where = ray.remote(num_cpus=0.1)(lambda: ray.get_runtime_context().get_node_id())
    lost = "a" * len(cluster_nodes()[0].node_id)
    gone = {**options, "label_selector": {"ray.io/node-id": f"in({lost})"}}
    return {
        "light": ray.get([where.options(**options).remote() for _ in range(20)]),
        "any": ray.get(where.options(**gone).remote()),
        "gpu_nodes": [n.node_id for n in cluster_nodes() if n.resources.get("GPU")],
        "where": run(folder, "stage", num_groups=400, num_engines={"min": 1, "max": 4}),
    }


def a_node_that_comes_late(cluster: Any, folder: Path) -> dict[str, Any]:
    """The only node with a GPU joins while the job waits."""
    impatient = refusal(folder, device="gpu", wait_for_nodes_s=1)
    started_s = time.monotonic()
    with ThreadPoolExecutor() as threads:  # a node is started by the main thread alone
        waiting = threads.submit(
            run, folder, "stage", num_groups=4, device="gpu", wait_for_nodes_s=300
        )
        time.sleep(3)
        cluster.add_node(num_cpus=2, num_gpus=1, **NODE)
        where = waiting.result()
    return {"where": where, "impatient": impatient, "seconds": time.monotonic() - started_s}


def a_model_on_one_node(cluster: Any, folder: Path) -> dict[str, Any]:
    """The nodes are asked for a model's folder that holds no model."""
    cluster.add_node(num_cpus=2, **NODE)
    cluster.wait_for_nodes()
    (folder / "model").mkdir()
    from factory.engine_actors import cluster_nodes, room_for
    from factory.nodes import check_nodes

    section = ModelSection(model=str(folder / "model"))
    try:
        check_nodes(section, room_for(section), folder)
    except InputError as error:
        return {"refusal": str(error), "left": os.listdir(folder), "nodes": len(cluster_nodes())}
    return {"refusal": ""}


def a_node_that_is_lost_while_it_is_asked(cluster: Any, folder: Path) -> dict[str, Any]:
    """It was there when the nodes were listed."""
    from factory.engine_actors import cluster_nodes, room_for
    from factory.nodes import check_nodes

    here = cluster_nodes()
    lost = replace(here[0], node_id="a" * len(here[0].node_id), name="lost")
    section = ModelSection(model="scripted")
    check_nodes(section, room_for(section), folder, nodes=[*here, lost])
    return {"refusal": ""}


SCENES: dict[str, Callable[[Any, Path], dict[str, Any]]] = {
    scene.__name__: scene
    for scene in (
        shared_gpu,
        across_nodes,
        ranges,
        a_node_that_comes_late,
        a_model_on_one_node,
        a_node_that_is_lost_while_it_is_asked,
    )
}


def main(name: str, folder: Path) -> None:
    import ray
    from ray.cluster_utils import Cluster

    from factory.cluster import LOCAL_ENVIRONMENT

    os.environ.update(LOCAL_ENVIRONMENT)
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 4, "num_gpus": 0, "include_dashboard": False, **NODE},
    )
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        print(json.dumps(SCENES[name](cluster, folder)))
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
