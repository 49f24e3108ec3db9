"""Looks at every node before a stage pays for engines there: code, packages, model, folder."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from factory.engine_actors import call_on, cluster_nodes
from factory.errors import InputError, shortened
from factory.identity import package_versions
from factory.job import EngineSection
from factory.placement import Node, Placement, has_labels
from schemas.files import TEMPORARY, is_there, remove, write_atomically

PACKAGES = ("prm-factory", "ray", "pyarrow", "datasets", "transformers", "math-verify")
"""Whose versions have to be those of the driver: they read and write what others wrote and read."""
ANSWER_TIMEOUT_S = 120.0
"""A node that has just joined may still be starting its first worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a node has to have."""

    marker: Path | None
    """A file the driver has just written into the folder that all share."""
    model: Path | None
    """A model's folder, on nodes that engines may run on."""
    needs_vllm: bool
    versions: dict[str, str]


def check_nodes(
    section: EngineSection, placed: Placement, folder: Path, *, nodes: list[Node] | None = None
) -> None:
    """Raises InputError naming the first node on which the stage could not run, and why.

    Nothing is asked where there is but one node: what is missing there, the driver knows. A node
    that is lost meanwhile is no reason to stop.
    """
    nodes = cluster_nodes() if nodes is None else nodes
    if len(nodes) < 2:
        return
    marker = folder / f".seen-{uuid.uuid4().hex}{TEMPORARY}"
    write_atomically(marker, "")
    try:
        asked = [
            (n, call_on(n.node_id, lacking, _expected(n, section, placed, marker), max_retries=1))
            for n in nodes
        ]
        answers = list(_answers(asked))
    finally:
        remove(marker)
    alive = {node.node_id for node in cluster_nodes()}
    missing = [(node.name, lacks) for node, lacks in answers if node.node_id in alive]
    if missing:
        name, lacks = missing[0]
        others = f" ({len(missing)} of {len(nodes)} nodes are not ready)"
        raise InputError(f"node {name} {lacks}{others if len(missing) > 1 else ''}")


def _expected(node: Node, section: EngineSection, placed: Placement, marker: Path) -> Expected:
    model = Path(section.model)
    is_host = has_labels(node, placed.node_labels) and all(
        node.resources.get(name, 0) for name in placed.needs
    )
    return Expected(
        marker=marker,
        model=model if is_host and model.is_dir() else None,
        needs_vllm=is_host and find_spec("vllm") is not None,
        versions=package_versions(PACKAGES),
    )


def lacking(expected: Expected) -> str | None:
    """What this machine lacks, as the end of a sentence about it, or `None`."""
    if expected.marker is not None and (blind := _not_seen(expected.marker)):
        return blind
    if expected.model is not None and not (expected.model / "config.json").is_file():
        return (
            f"does not see the model {expected.model}: "
            "put it on storage that all nodes share, or name a Hub id"
        )
    if expected.needs_vllm and find_spec("vllm") is None:
        return "has no vllm: use the same image or environment on all nodes"
    here = package_versions(PACKAGES)
    for package, wanted in expected.versions.items():
        if here.get(package) != wanted:
            return (
                f"has {package} {here.get(package, 'not at all')}, the driver has {wanted}: "
                "use the same image or environment on all nodes"
            )
    return None


def _not_seen(marker: Path) -> str | None:
    folder = marker.parent
    try:
        if is_there(marker):
            return None
    except OSError as error:
        return (
            f"cannot reach {folder} ({shortened(error)}): give every node the credentials and the "
            "endpoint in its environment"
        )
    return f"does not see {folder}: --out has to be a folder that all nodes share"


def _answers(asked: list[tuple[Node, Any]]) -> Iterator[tuple[Node, str]]:
    """The nodes that are not ready, and why."""
    import ray

    ray.wait([answer for _, answer in asked], num_returns=len(asked), timeout=ANSWER_TIMEOUT_S)
    for node, answer in asked:
        try:
            lacks = ray.get(answer, timeout=0.1)
        except ray.exceptions.GetTimeoutError:
            lacks = f"did not answer in {ANSWER_TIMEOUT_S:g} s: look at it with 'ray status'"
        except ray.exceptions.RayError as error:
            lacks = cannot_run(error)
        if lacks:
            yield node, lacks


def cannot_run(error: Exception) -> str:
    """Why a node could not even be asked: most often the factory is not installed there."""
    if "No module named" in str(error):
        return "cannot import the factory: install it there, or use the same image on all nodes"
    return f"cannot run a task: {shortened(error)}"
