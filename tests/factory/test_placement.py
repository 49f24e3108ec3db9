"""Where engines go, on clusters that are only lists of nodes."""

from typing import Any

import pytest

from factory.errors import InputError
from factory.job import ModelSection
from factory.placement import (
    Node,
    Placement,
    check_room,
    engines_that_fit,
    has_labels,
    placement,
    task_options,
)


def node(name: str, *, cpus: float = 8, gpus: float = 0, **labels: str) -> Node:
    resources = {"CPU": cpus, **({"GPU": gpus, "accelerator_type:H100": 1} if gpus else {})}
    return Node(node_id=name, name=name, resources=resources, labels=labels)


HEAD = node("head")
TWO_BY_TWO = [HEAD, node("a", gpus=2), node("b", gpus=2)]


def placed(nodes: list[Node], **fields: Any) -> Placement:
    return placement(ModelSection(model="org/m", **fields), nodes)


def parallel(size: int, **fields: Any) -> dict[str, Any]:
    return {"engine_args": {"tensor_parallel_size": size}, **fields}


def test_an_engine_takes_a_gpu_where_there_are_any_and_none_where_there_are_not() -> None:
    assert placed(TWO_BY_TWO).needs == {"CPU": 1, "GPU": 1}
    assert placed([HEAD]).needs == {"CPU": 1}
    assert placed(TWO_BY_TWO, device="cpu").needs == {"CPU": 1}


def test_a_gpu_job_asks_for_gpus_before_there_are_any() -> None:
    assert placed([HEAD], device="gpu").needs == {"CPU": 1, "GPU": 1}


def test_tensor_parallel_engines_reserve_all_their_gpus_on_one_node() -> None:
    found = placed(TWO_BY_TWO, **parallel(2))
    assert (found.needs["GPU"], found.num_bundles) == (2, 1)
    assert "distributed_executor_backend" not in found.engine_args


def test_across_nodes_every_gpu_is_a_bundle_and_the_first_holds_the_engine() -> None:
    found = placed(TWO_BY_TWO, across_nodes=True, num_cpus=4, **parallel(3))
    assert found.bundles == [{"CPU": 4, "GPU": 1}, {"GPU": 1}, {"GPU": 1}]
    assert found.engine_args["distributed_executor_backend"] == "ray"


def test_pipeline_stages_count_as_gpus_too() -> None:
    args = {"tensor_parallel_size": 2, "pipeline_parallel_size": 2}
    assert placed(TWO_BY_TWO, across_nodes=True, engine_args=args).num_bundles == 4


def test_one_gpu_needs_no_placement_group() -> None:
    found = placed(TWO_BY_TWO, across_nodes=True)
    assert (found.num_bundles, found.engine_args) == (1, {})


@pytest.mark.parametrize(
    ("share", "given", "memory"),
    [
        (0.5, {}, 0.45),
        (0.25, {}, 0.225),
        (0.5, {"gpu_memory_utilization": 0.3}, 0.3),
        (0.5, {"kv_cache_memory_bytes": 1 << 30}, None),
        (1, {}, None),
    ],
)
def test_engines_that_share_a_gpu_share_its_memory(
    share: float, given: dict[str, Any], memory: float | None
) -> None:
    found = placed(TWO_BY_TWO, num_gpus=share, engine_args=given)
    assert found.engine_args.get("gpu_memory_utilization") == memory


FITS = {
    "a GPU each": ({}, 4),
    "two GPUs each": (parallel(2), 2),
    "shares": ({"num_gpus": 0.5}, 8),
    "shares that leave a rest": ({"num_gpus": 0.4}, 8),
    "few CPUs": ({"num_cpus": 5}, 2),
    "spread over three": (parallel(3, across_nodes=True), 1),
    "spread over four": (parallel(4, across_nodes=True), 1),
    "of one kind": ({"accelerator_type": "H100"}, 4),
    "labels": ({"node_labels": {"pool": "x"}}, 0),
    "one node by label": ({"node_labels": {"pool": "!y"}}, 4),
}


@pytest.mark.parametrize(("fields", "expected"), FITS.values(), ids=FITS.keys())
def test_how_many_engines_fit(fields: dict[str, Any], expected: int) -> None:
    found = placed(TWO_BY_TWO, **fields)
    eligible = [n for n in TWO_BY_TWO if has_labels(n, found.node_labels)]
    assert engines_that_fit(found, eligible) == expected


REFUSED = {
    "four GPUs on nodes of two": (
        parallel(4),
        "needs 4 GPUs on one node, the largest has 2: lower tensor_parallel_size or num_gpus, or "
        "set across_nodes: true",
    ),
    "too many engines": ({"num_engines": 5}, "5 engines for org/m need 5 CPUs, 5 GPUs, and the"),
    "too many at least": ({"num_engines": {"min": 5, "max": 9}}, "has room for 4"),
    "too many spread": (
        parallel(3, across_nodes=True, num_engines=2),
        "2 engines for org/m need 6 GPUs, and the cluster has room for 1",
    ),
    "CPUs": ({"num_cpus": 9}, "needs 9 CPUs on one node, the largest has 8: lower num_cpus"),
    "a GPU of another kind": (
        {"accelerator_type": "A100"},
        "needs 0.001 of 'accelerator_type:A100' on one node, the largest has 0: take an",
    ),
    "a resource nobody has": ({"resources": {"licence": 1}}, "lower resources.licence"),
    "a label nobody has": ({"node_labels": {"pool": "x"}}, "no node of the cluster has the labels"),
}


@pytest.mark.parametrize(("fields", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_has_no_room_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        check_room(placed(TWO_BY_TWO, **fields), TWO_BY_TWO)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"num_engines": 4},
        {"num_engines": {"max": 100}},
        parallel(4, across_nodes=True),
        {"num_engines": 8, "num_gpus": 0.5},
        {"device": "cpu", "num_cpus": 0, "num_engines": 50},
    ],
)
def test_what_fits_is_let_in(fields: dict[str, Any]) -> None:
    check_room(placed(TWO_BY_TWO, **fields), TWO_BY_TWO)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [("x", True), ("y", False), ("!y", True), ("in(w, x)", True), ("!in(x)", False)],
)
def test_selectors_read_as_ray_reads_them(selector: str, expected: bool) -> None:
    assert has_labels(node("a", pool="x"), {"pool": selector}) is expected


def test_a_node_without_the_label_matches_only_what_it_is_not() -> None:
    assert not has_labels(HEAD, {"pool": "x"})
    assert has_labels(HEAD, {"pool": "!x"})


def test_light_tasks_prefer_nodes_without_gpus() -> None:
    assert task_options(TWO_BY_TWO)["label_selector"] == {"ray.io/node-id": "in(head)"}


@pytest.mark.parametrize(
    "nodes", [[HEAD], [node("a", gpus=2)], [node("head", cpus=0), node("a", gpus=2)]]
)
def test_without_a_choice_of_nodes_light_tasks_run_anywhere(nodes: list[Node]) -> None:
    assert task_options(nodes) == {}
