"""Jobs under random kills, against the same job left alone: `python -m tests.chaos.run FOLDER ...`.

One line of JSON per seed and one for the undisturbed run. After the kills of a seed the same
command is run again until it leaves with 0 and no problem has failed, as a person would.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import psutil
import yaml

from factory.bench.scripted_world import problems
from factory.toy import MODEL_DIR
from factory.toy.world import make_problems, problem_row
from tests.chaos import family
from tests.chaos.driver import DELAY, HOST
from tests.chaos.machines import Machines
from tests.chaos.published import Published, read_published

MAX_RUNS = 40
"""Of one command: more than there are kills."""
PAUSE_S = 4.0
"""Between two kills, on average."""
AT_WORK_S = 4.0
"""A worker or an engine is killed so long, at most, after there is one."""
RUN_TIMEOUT_S = 600.0
GONE_S = 60.0
"""Ray gives an actor of a job that is gone half a minute to end in order before it kills it."""
CACHE_OF_TORCH = "torchinductor_"
"""A folder of one name that all its processes of a user share and keep."""
ENGINES = ("scripted", "vllm", "vllm-in-processes")
"""The last is the host of engines with GPUs, its process on the CPU."""


class Scene:
    """A cluster, a job, and the command that runs it."""

    def __init__(self, folder: Path, told: argparse.Namespace) -> None:
        self.folder = folder
        self.machines = Machines()
        self._environment = os.environ | {DELAY: str(told.delay), "TMPDIR": str(folder / "tmp")}
        self._environment[HOST] = told.engine
        is_real = told.engine != "scripted"
        self._program = "factory.cli" if told.engine == "vllm" else "tests.chaos.driver"
        (folder / "tmp").mkdir()
        made = map(problem_row, make_problems(told.problems, seed=7)) if is_real else None
        rows = made or problems(told.problems)
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "problems.jsonl").write_text(lines)
        section: dict[str, Any] = {"model": str(MODEL_DIR), "groups_in_flight": 8}
        if is_real:
            section |= {"device": "cpu"}
        else:  # a context so long that nobody counts tokens, which takes a tokenizer
            section |= {"num_engines": 2, "engine_args": {"max_model_len": 8192}}
        job: dict[str, Any] = {"problems": {"path": "problems.jsonl"}, "seed": 3}
        job |= {"generator": section, "output": {"problems_per_shard": 8}}
        (folder / "job.yaml").write_text(yaml.safe_dump(job))

    def start(self, out: Path) -> subprocess.Popen[bytes]:
        """The command, in a session of its own."""
        command = [sys.executable, "-m", self._program, "label"]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*command, str(self.folder / "job.yaml"), "--out", str(out)],
                env=self._environment | {"RAY_ADDRESS": self.machines.address},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def restart(self) -> None:
        """Another cluster where one was lost."""
        self.machines = Machines()


Kill = Callable[[Scene, Random, subprocess.Popen[bytes]], bool]
"""Whether there was something to kill."""


def _driver(what: signal.Signals) -> Kill:
    def kill(scene: Scene, draw: Random, driver: subprocess.Popen[bytes]) -> bool:
        return driver.poll() is None and family.send(psutil.Process(driver.pid), what)

    return kill


def _one_of(found: Callable[[], list[psutil.Process]], what: signal.Signals) -> Kill:
    def kill(scene: Scene, draw: Random, driver: subprocess.Popen[bytes]) -> bool:
        while driver.poll() is None and not found():
            time.sleep(0.2)
        _wait(driver, draw.uniform(0, AT_WORK_S))
        processes = found()
        return bool(processes) and family.send(draw.choice(processes), what)

    return kill


def _node(what: signal.Signals) -> Kill:
    def kill(scene: Scene, draw: Random, driver: subprocess.Popen[bytes]) -> bool:
        raylet = draw.choice(scene.machines.raylets())
        family.send(raylet, what)
        time.sleep(draw.uniform(0, 4))
        scene.machines.bury(raylet)
        return True

    return kill


def _machine(scene: Scene, draw: Random, driver: subprocess.Popen[bytes]) -> bool:
    scene.machines.end()
    scene.restart()
    return True


KILLS: dict[str, Kill] = {
    "driver": _driver(signal.SIGKILL),
    "driver told to end": _driver(signal.SIGTERM),
    "driver interrupted": _driver(signal.SIGINT),
    "worker": _one_of(family.engine_workers, signal.SIGKILL),
    "engine": _one_of(family.engine_cores, signal.SIGKILL),
    "engine stopped": _one_of(family.engine_cores, signal.SIGSTOP),
    "node": _node(signal.SIGKILL),
    "node stopped": _node(signal.SIGSTOP),
    "machine": _machine,
}


def undisturbed(scene: Scene, out: Path) -> Published:
    """The run that the others are compared with."""
    driver = scene.start(out)
    if driver.wait(RUN_TIMEOUT_S):
        sys.exit(f"the undisturbed run left with {driver.returncode}: see {scene.folder / 'log'}")
    return read_published(out)


def disturbed(
    scene: Scene, out: Path, seed: int, kinds: list[str], num_kills: int
) -> dict[str, Any]:
    """The same job with so many kills; what they were and how it ended."""
    draw = Random(seed)
    kinds_left = [draw.choice(kinds) for _ in range(num_kills)]
    kills: Counter[str] = Counter()
    endings: Counter[str] = Counter()
    started_s = time.monotonic()
    driver = scene.start(out)
    for _ in range(MAX_RUNS):
        while kinds_left and driver.poll() is None:
            _wait(driver, draw.expovariate(1 / PAUSE_S))
            if driver.poll() is None and KILLS[kinds_left[-1]](scene, draw, driver):
                kills[kinds_left.pop()] += 1
        try:
            endings[str(driver.wait(RUN_TIMEOUT_S))] += 1
        except subprocess.TimeoutExpired:
            endings["hangs"] += 1
            driver.kill()
            driver.wait()
        if driver.returncode == 0:
            if not read_published(out).num_failed:
                break
            endings["0 with failed problems"] += 1
        driver = scene.start(out)
    else:
        sys.exit(f"seed {seed}: the command did not come to its end in {MAX_RUNS} runs")
    return {
        "seed": seed,
        "kills": dict(kills),
        "endings": dict(endings),
        "seconds": time.monotonic() - started_s,
    }


def _wait(driver: subprocess.Popen[bytes], seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        driver.wait(seconds)


def leftovers(scene: Scene, out: Path, shared_memory_before: set[str]) -> list[str]:
    """What a finished job should not leave behind: processes, temporary files, shared memory."""
    orphans = [p for p in family.descendants() if family.is_of_an_engine(p)]
    found = [family.describe(p) for p in family.wait_until_gone(orphans, GONE_S)]
    hidden = [*out.rglob(".*"), *out.rglob("*.tmp"), *scene.folder.glob(f".{out.name}*")]
    found += [str(path.relative_to(scene.folder)) for path in hidden]
    temporary = (path.name for path in (scene.folder / "tmp").iterdir())
    found += [f"tmp/{name}" for name in temporary if not name.startswith(CACHE_OF_TORCH)]
    return found + family.shared_memory_left(shared_memory_before)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--kinds", nargs="+", choices=list(KILLS), default=list(KILLS))
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--delay", type=float, default=0.3)
    parser.add_argument("--engine", choices=ENGINES, default="scripted")
    told = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells' background jobs ignore it
    family.adopt_orphans()
    folder = told.folder.resolve()
    folder.mkdir(parents=True)
    before = {str(f) for f in Path("/dev/shm").iterdir()}
    scene = Scene(folder, told)
    started_s = time.monotonic()
    try:
        truth = undisturbed(scene, folder / "undisturbed")
        print(json.dumps(truth.size() | {"seconds": time.monotonic() - started_s}), flush=True)
        for seed in told.seeds:
            out = folder / f"seed-{seed}"
            found = disturbed(scene, out, seed, told.kinds, told.kills)
            found |= truth.differences(read_published(out))
            found["leftovers"] = leftovers(scene, out, before)
            print(json.dumps(found), flush=True)
    finally:
        scene.machines.end()


if __name__ == "__main__":
    main()
