"""Images and manifests, as far as that can be known without an engine that runs them."""

import os
import re
import subprocess
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from factory.job import Job
from factory.nodes import PACKAGES
from factory.placement import Node, check_room, placement
from factory.submission.jobs import STOP_WAIT_S

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
IMAGE = re.compile(r"^prm-factory:(?P<version>[\d.]+)-(?P<target>\w+)$")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, each on one line, without comments."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text())
    joined = re.sub(r"\\\n\s*", " ", text)
    pairs = (line.split(None, 1) for line in joined.splitlines() if line.strip())
    return [(name, " ".join(rest.split())) for name, rest in pairs]


def stages() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for name, rest in instructions():
        if name == "FROM":
            found[rest.split()[-1]] = []
        list(found.values())[-1].append((name, rest))
    return found


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DOCKER / name).read_text()))


def images(node: Any) -> list[str]:
    if isinstance(node, list):
        return [image for item in node for image in images(item)]
    if not isinstance(node, dict):
        return []
    own = [node["image"]] if isinstance(node.get("image"), str) else []
    return own + [image for item in node.values() for image in images(item)]


def pip_steps(text: str) -> list[str]:
    """What pip is asked to do, without where it is and how loudly."""
    text = re.sub(r"\\\n", " ", text).replace("$(CONSTRAINTS)", "docker/constraints-cpu.txt")
    steps = re.findall(r"pip (?:install|uninstall) [^;|&\n]*", text)
    dropped = r"--quiet|--no-cache-dir|--yes|\$+package"
    return [" ".join(re.sub(dropped, "", step).split()) for step in steps]


def test_there_is_an_image_for_cpus_and_one_for_gpus() -> None:
    assert list(stages()) == ["base", "cpu", "gpu"]


def test_the_image_is_installed_as_the_makefile_does_it() -> None:
    made = pip_steps((ROOT / "Makefile").read_text())
    built = pip_steps("\n".join(rest for stage in ("base", "cpu") for _, rest in stages()[stage]))
    extras = re.compile(r"\.\[([\w,]+)\]")
    assert [extras.sub("", step) for step in built] == [extras.sub("", step) for step in made]
    [ours], [theirs] = (
        [set(e.split(",")) for s in steps for e in extras.findall(s)] for steps in (built, made)
    )
    assert {"cpu", "cluster"} <= ours <= theirs
    assert "torchvision torchaudio torchcodec" in stages()["cpu"][4][1]


def test_every_extra_of_an_image_exists() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    for stage in ("cpu", "gpu"):
        [extras] = re.findall(r"\.\[([\w,]+)\]", str(stages()[stage]))
        for extra in extras.split(","):
            assert re.search(rf"(?m)^{extra} = \[", pyproject), extra


def test_bases_and_images_have_versions() -> None:
    [base] = [rest.split()[0] for name, rest in instructions() if name == "FROM"][:1]
    assert re.match(r"^python:3\.11\.\d+-slim-\w+$", base)
    pyproject = (ROOT / "pyproject.toml").read_text()
    for name in ("compose.yaml", "compose.gpu.yaml", "rayjob.yaml"):
        found = images(documents(name))
        assert found
        for image in found:
            named = IMAGE.match(image)
            assert named, image
            assert named["target"] in stages()
            assert f'version = "{named["version"]}"' in pyproject


def test_nobody_is_root_in_the_end() -> None:
    users = {stage: [r for n, r in found if n == "USER"] for stage, found in stages().items()}
    assert users["base"][-1] == "factory"
    for stage in ("cpu", "gpu"):
        assert (users[stage] or users["base"])[-1] == "factory"


def test_packages_come_before_the_source_and_what_is_copied_exists() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    for stage in ("cpu", "gpu"):
        steps = [f"{name} {rest}" for name, rest in stages()[stage]]
        installing = [i for i, step in enumerate(steps) if ".[" in step]
        copying = [i for i, step in enumerate(steps) if step.startswith("COPY")]
        assert max(installing) < min(copying)
    for name, rest in instructions():
        if name == "COPY":
            *sources, _ = [word for word in rest.split() if not word.startswith("--")]
            for source in sources:
                assert (ROOT / source).exists()
                assert f"!{source}" in ignored


def test_the_environments_python_is_the_first_on_the_path() -> None:
    [environment] = [rest for name, rest in stages()["base"] if name == "ENV"]
    assert environment.startswith("PATH=/opt/venv/bin:$PATH")


def test_the_cluster_on_one_machine_builds_what_there_is_and_hides_its_dashboard() -> None:
    [compose] = documents("compose.yaml")
    services = compose["services"]
    for service in services.values():
        assert service["build"]["target"] in stages()
        assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert service["command"].startswith("ray start ")
        assert "--block" in service["command"]
        mounted = {volume.split(":")[0] for volume in service["volumes"]}
        assert mounted <= set(compose["volumes"])
    assert all(p.startswith("127.0.0.1:") for s in services.values() for p in s.get("ports", []))
    assert {"head", "worker"} == set(services)


def test_a_cluster_is_of_one_image() -> None:
    assert len(set(images(documents("compose.yaml")))) == 1
    assert len(set(images(documents("rayjob.yaml")))) == 1
    [compose], [on_gpus] = documents("compose.yaml"), documents("compose.gpu.yaml")
    assert set(on_gpus["services"]) == set(compose["services"])
    [image] = {service["image"] for service in on_gpus["services"].values()}
    assert image.endswith("-gpu")
    assert {service["build"]["target"] for service in on_gpus["services"].values()} == {"gpu"}


def test_the_image_has_the_folders_that_volumes_are_mounted_on() -> None:
    [made] = [rest for _, rest in stages()["base"] if "install --directory" in rest]
    [compose] = documents("compose.yaml")
    for service in compose["services"].values():
        for volume in service["volumes"]:
            folder = Path(volume.split(":")[1])
            ours = [f for f in folder.parents if f.is_relative_to("/home/factory")][:-1]
            for needed in (folder, *ours):
                assert str(needed) in made.split(), needed


def test_the_heads_probe_answers_without_a_token() -> None:
    [compose] = documents("compose.yaml")
    url = compose["services"]["head"]["healthcheck"]["test"][-1]
    [ray] = find_spec("ray").submodule_search_locations or []  # type: ignore[union-attr]
    served = (Path(ray) / "dashboard" / "http_server_head.py").read_text()
    public = re.search(r"public_exact_paths = \{(.*?)\}", served, re.DOTALL)
    assert public
    assert f'"{url.partition(":8265")[2]}"' in public[1]


def pins(name: str) -> list[str]:
    """The lines of a file of constraints, without those it takes from another."""
    lines = (DOCKER / name).read_text().splitlines()
    return [line for line in lines if "==" in line and not line.startswith("#")]


def normal(pin: str) -> str:
    return re.sub(r"[-_.]+", "-", pin.split("==")[0]).lower()


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_both_images_hold_the_shared_versions_and_nothing_is_said_twice(target: str) -> None:
    file = f"constraints-{target}.txt"
    assert "-c constraints.txt" in (DOCKER / file).read_text().splitlines()
    steps = pip_steps("\n".join(rest for _, rest in stages()[target]))
    assert all(step.endswith(f"-c docker/{file}") for step in steps if "uninstall" not in step)
    names = [normal(pin) for pin in (*pins("constraints.txt"), *pins(file))]
    assert len(set(names)) == len(names)


def test_what_nodes_have_to_hold_alike_is_pinned_for_both_images() -> None:
    shared = {normal(pin) for pin in pins("constraints.txt")}
    wanted = {normal(name) for name in PACKAGES} - {"prm-factory"}
    for package in ("math-verify", "latex2sympy2-extended", "sympy"):  # what decides verdicts
        needed = [line for line in requires(package) or [] if "extra ==" not in line]
        wanted |= {normal(re.split(r"[^\w.-]", line)[0]) for line in needed}
    assert {"antlr4-python3-runtime", "mpmath", "sympy"} <= wanted
    assert wanted <= shared


def test_wheels_for_cpus_come_from_pytorchs_own_index() -> None:
    [argument] = [rest for name, rest in stages()["cpu"] if name == "ARG"]
    assert argument == "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu"


def rayjob() -> dict[str, Any]:
    [job] = [d for d in documents("rayjob.yaml") if d["kind"] == "RayJob"]
    spec = job["spec"]
    assert isinstance(spec, dict)
    return spec


def pods() -> list[dict[str, Any]]:
    cluster = rayjob()["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_a_job_of_kubernetes_has_as_long_to_end_as_one_that_is_sent() -> None:
    given = yaml.safe_load(rayjob()["runtimeEnvYAML"])
    assert given == {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S)}}


def test_no_container_may_gain_what_its_user_does_not_have() -> None:
    [compose] = documents("compose.yaml")
    for service in compose["services"].values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    for container in (c for pod in pods() for c in pod["containers"]):
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False


def half_of(size: str) -> int:
    """In bytes, of a size in whole gigabytes."""
    return int(re.sub(r"(?i)gb|gi$", "", size)) << 29


def test_rays_object_store_fits_the_shared_memory() -> None:
    """Otherwise Ray keeps it in /tmp, with no more than a warning."""
    [compose], [on_gpus] = documents("compose.yaml"), documents("compose.gpu.yaml")
    for name, service in compose["services"].items():
        [store] = re.findall(r"--object-store-memory=(\d+)", service["command"])
        for size in (service["shm_size"], (service | on_gpus["services"][name])["shm_size"]):
            assert int(store) < half_of(size)
    cluster = rayjob()["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        store = group["rayStartParams"]["object-store-memory"]
        [limit] = [
            volume["emptyDir"]["sizeLimit"]
            for volume in group["template"]["spec"]["volumes"]
            if volume.get("emptyDir", {}).get("medium") == "Memory"
        ]
        assert int(store) < half_of(limit)


def test_every_pod_mounts_what_it_names_and_nobody_is_root() -> None:
    known = {(d["kind"], d["metadata"]["name"]) for d in documents("rayjob.yaml")}
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {m["name"] for m in container["volumeMounts"]} == set(volumes)
        assert ("ConfigMap", volumes["job"]["configMap"]["name"]) in known
        claim = volumes["shared"]["persistentVolumeClaim"]["claimName"]
        assert ("PersistentVolumeClaim", claim) in known


def test_weights_are_kept_on_the_claim() -> None:
    for pod in pods():
        for container in pod["containers"]:
            [home] = [e["value"] for e in container["env"] if e["name"] == "HF_HOME"]
            mounts = {m["mountPath"] for m in container["volumeMounts"] if m["name"] == "shared"}
            assert mounts & {str(folder) for folder in Path(home).parents}


def test_the_cluster_grows_from_no_gpu_nodes_and_ray_is_the_tested_one() -> None:
    cluster = rayjob()["rayClusterSpec"]
    assert f"ray=={cluster['rayVersion']}" in pins("constraints.txt")
    assert cluster["enableInTreeAutoscaling"]
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_the_job_on_kubernetes_is_one_that_its_nodes_have_room_for() -> None:
    [config] = [d for d in documents("rayjob.yaml") if d["kind"] == "ConfigMap"]
    job = Job.model_validate(yaml.safe_load(config["data"]["job.yaml"]))
    assert job.generator
    assert job.generator.wait_for_nodes_s > 0
    [gpu] = [g for g in rayjob()["rayClusterSpec"]["workerGroupSpecs"] if g["groupName"] == "gpu"]
    [container] = gpu["template"]["spec"]["containers"]
    limits = container["resources"]["limits"]
    resources = {"CPU": float(limits["cpu"]), "GPU": float(limits["nvidia.com/gpu"])}
    nodes = [
        Node(node_id=str(n), name=str(n), resources=resources) for n in range(gpu["maxReplicas"])
    ]
    check_room(placement(job.generator, nodes), nodes)
    assert job.generator.max_engines == gpu["maxReplicas"]


def test_the_entrypoint_is_the_command_that_submit_sends() -> None:
    words = rayjob()["entrypoint"].split()
    assert words[:4] == ["python", "-m", "factory.cli", "label"]
    [mount] = [m for m in pods()[0]["containers"][0]["volumeMounts"] if m["name"] == "job"]
    assert words[4] == f"{mount['mountPath']}/job.yaml"


@pytest.mark.parametrize("script", ["slurm.sbatch"])
def test_scripts_are_bash(script: str) -> None:
    assert os.access(DOCKER / script, os.X_OK)
    subprocess.run(["bash", "-n", str(DOCKER / script)], check=True)


FAKES = {
    "scontrol": "echo node-1; echo node-2",
    "srun": """
        echo "$@" >> "$CALLS"
        while [ "$1" != bash ]; do
          [ "$1" = hostname ] && { echo 10.0.0.1; exit; }
          shift
        done
        trap : TERM
        set -m  # a signal goes to all processes of a task
        for n in 0 1; do SLURM_NODEID=$n "$@" & done
        wait
        for task in $(jobs -p); do kill -- "-$task"; done
        wait""",
    "ray": """
        echo "ray $*" >> "$CALLS"
        touch "$RAY_TMPDIR/socket"
        exec sleep 60""",
    "python": """
        until [ "$(grep -c "^ray start" "$CALLS")" = 2 ]; do sleep 0.1; done
        echo $NODES_UP""",
    "prm-factory": 'echo "prm-factory $*" >> "$CALLS"',
}


def slurm(tmp_path: Path, *, nodes_up: int) -> tuple["subprocess.CompletedProcess[str]", list[str]]:
    """A run of the script on two nodes that are both this one, and what it called."""
    binaries = tmp_path / "venv" / "bin"
    binaries.mkdir(parents=True)
    for name, text in FAKES.items():
        (binaries / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (binaries / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "PRM_FACTORY_VENV": str(binaries.parent),
        "CALLS": str(tmp_path / "calls"),
        "NODES_UP": str(nodes_up),
        "RAY_WAIT_S": "0",
        "SLURM_JOB_ID": f"test-{os.getpid()}",
        "SLURM_JOB_NODELIST": "node-[1-2]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "16",
    }
    script = [str(DOCKER / "slurm.sbatch"), "job.yaml", "/shared/out"]
    done = subprocess.run(
        script, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    return done, (tmp_path / "calls").read_text().splitlines()


def test_the_job_on_slurm_runs_when_all_nodes_are_there_and_clears_them(tmp_path: Path) -> None:
    done, calls = slurm(tmp_path, nodes_up=2)
    assert done.returncode == 0, done.stderr
    assert calls[-1] == f"prm-factory label {tmp_path}/job.yaml --out /shared/out"
    assert any(call.startswith("--cpus-per-task=16 ") for call in calls)
    head = "ray start --head --node-ip-address=10.0.0.1 --port=6379 --block --num-cpus=16"
    worker = "ray start --address=10.0.0.1:6379 --block --num-cpus=16"
    assert {head, worker} <= set(calls)
    assert not Path(f"/tmp/ray-test-{os.getpid()}").exists()


def test_the_job_on_slurm_does_not_run_on_fewer_nodes_than_asked_for(tmp_path: Path) -> None:
    done, calls = slurm(tmp_path, nodes_up=1)
    assert done.returncode == 1
    assert "1 of 2 nodes joined Ray in 0 s" in done.stderr
    assert not [call for call in calls if call.startswith("prm-factory")]


def test_the_guide_names_every_file_that_is_there() -> None:
    guide = (DOCKER / "README.md").read_text()
    for file in DOCKER.iterdir():
        if file.name != "README.md":
            assert f"`{file.name}`" in guide, file.name
