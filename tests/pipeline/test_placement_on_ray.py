"""Ray really places engines as a section says: clusters of pretended nodes, see `clusters`."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


def played(scene: str, folder: Path) -> dict[str, Any]:
    """What a scene reports. Ray's sockets need a short path."""
    ray_folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    (ray_folder / "ray").mkdir()
    environment = {**os.environ, "RAY_TMPDIR": str(ray_folder)}
    environment.pop("RAY_ADDRESS", None)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.pipeline.clusters", scene, str(folder)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=540,
        )
    finally:
        shutil.rmtree(ray_folder, ignore_errors=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert isinstance(found, dict)
    return found


def test_two_engines_of_half_a_gpu_share_it(tmp_path: Path) -> None:
    where = played("shared_gpu", tmp_path)["where"]
    assert len(where) == 160
    assert len({w["pid"] for w in where}) == 2
    assert {tuple(w["gpus"]) for w in where} == {("0",)}


def test_an_engine_across_nodes_gets_a_bundle_per_gpu_and_gives_them_back(tmp_path: Path) -> None:
    found = played("across_nodes", tmp_path)
    for stage in found["stages"]:
        assert len({w["pid"] for w in stage}) == 1
        bundles = [{"CPU": 1.0, "GPU": 1.0}, *[{"GPU": 1.0}] * 3]
        assert all(w["bundles"] == bundles for w in stage)
    assert len(found["states"]) >= len(found["stages"])
    assert set(found["states"]) == {"REMOVED"}
    assert "needs 4 GPUs on one node, the largest has 2" in found["refusal"]


def test_a_range_grows_and_light_tasks_keep_off_gpu_nodes(tmp_path: Path) -> None:
    found = played("ranges", tmp_path)
    assert 1 < len({w["pid"] for w in found["where"]}) <= 4
    assert {w["node"] for w in found["where"]} <= set(found["gpu_nodes"])
    assert not set(found["light"]) & set(found["gpu_nodes"])
    assert found["any"], "a task whose preferred node is gone runs elsewhere"


def test_a_job_waits_for_nodes_as_long_as_it_is_told_to(tmp_path: Path) -> None:
    found = played("a_node_that_comes_late", tmp_path)
    assert "the largest has 0" in found["impatient"]
    assert "waited 1 s for nodes" in found["impatient"]
    assert len(found["where"]) == 4
    assert found["seconds"] > 2.5


def test_a_node_that_does_not_see_the_model_is_named(tmp_path: Path) -> None:
    found = played("a_model_on_one_node", tmp_path)
    assert found["nodes"] == 2
    assert f"does not see the model {tmp_path / 'model'}" in found["refusal"]
    assert "2 of 2 nodes are not ready" in found["refusal"]
    assert found["left"] == ["model"], "the marker goes again"


def test_a_node_that_is_lost_while_it_is_asked_refuses_nothing(tmp_path: Path) -> None:
    assert played("a_node_that_is_lost_while_it_is_asked", tmp_path) == {"refusal": ""}
    assert list(tmp_path.iterdir()) == [], "the marker goes again"
