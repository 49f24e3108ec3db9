"""What a node has to have before engines start on it."""

from dataclasses import replace
from pathlib import Path

import pytest

from factory.identity import package_versions
from factory.nodes import (
    ENGINE_PACKAGES,
    PACKAGES,
    Expected,
    Seen,
    cannot_run,
    differing,
    lacking,
    look,
)
from factory.toy import MODEL_DIR


@pytest.fixture
def expected(tmp_path: Path) -> Expected:
    marker = tmp_path / ".seen"
    marker.touch()
    return Expected(
        marker=marker,
        model=MODEL_DIR,
        is_host=True,
        needs_vllm=True,
        versions=package_versions(PACKAGES),
    )


def test_a_node_like_the_drivers_lacks_nothing(expected: Expected) -> None:
    assert lacking(expected) is None


def test_a_folder_that_is_not_shared_is_named(expected: Expected, tmp_path: Path) -> None:
    elsewhere = replace(expected, marker=tmp_path / "elsewhere" / ".seen")
    assert f"does not see {tmp_path / 'elsewhere'}: --out" in str(lacking(elsewhere))


def test_a_model_that_is_not_shared_is_named(expected: Expected, tmp_path: Path) -> None:
    elsewhere = replace(expected, model=tmp_path / "model")
    assert f"does not see the model {tmp_path / 'model'}" in str(lacking(elsewhere))


def test_other_versions_are_named(expected: Expected) -> None:
    other = replace(expected, versions={**expected.versions, "pyarrow": "1.0"})
    assert "the driver has 1.0: use the same image" in str(lacking(other))


def test_engines_are_asked_for_where_they_may_run(expected: Expected) -> None:
    engine = look(expected).engine
    assert engine is not None
    assert {"torch"} < engine.keys() <= set(ENGINE_PACKAGES)
    assert look(replace(expected, is_host=False)) == Seen(lacks=None)


def test_nodes_with_another_engine_than_the_first_are_named() -> None:
    old, new = {"vllm": "0.31.0", "torch": "2.13.0"}, {"vllm": "0.32.0", "torch": "2.13.0"}
    assert list(differing([])) == list(differing([("a", old), ("b", dict(old))])) == []
    (name, said), (other, missing) = differing([("a", old), ("b", new), ("c", {"torch": "2.13.0"})])
    assert (name, other) == ("b", "c")
    assert said.startswith("has vllm 0.32.0, node a has 0.31.0: use the same image")
    assert missing.startswith("has vllm not at all, node a has 0.31.0")


def test_a_node_without_the_factory_is_told_apart_from_one_that_is_ill() -> None:
    error = RuntimeError("failed to import: ModuleNotFoundError: No module named 'factory'")
    assert cannot_run(error).startswith("cannot import the factory")
    assert cannot_run(RuntimeError("no space")) == "cannot run a task: no space"
