"""What a killed worker left behind goes at the end of its stage, on whichever node it was."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from factory.leftovers import clear_after, clear_nodes, nodes_cleared
from workers.process import Process, started
from workers.scratch import Scratch

HOLDER = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from workers.scratch import Scratch
mine = Scratch('engine')
print(mine.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.Popen[str]:
    """A process with a folder in `tmp_path`."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    process.stdout.readline()
    return process


def named(process: subprocess.Popen[str]) -> Process:
    return Process(node_id="here", pid=process.pid, started=started(process.pid) or "")


def test_a_worker_that_is_about_to_die_is_waited_for(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    worker = named(holder)
    assert worker.is_there()
    threading.Timer(0.5, holder.kill).start()
    clear_after([worker])
    assert holder.wait() == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_one_that_does_not_end_is_left_alone(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    clear_after([named(holder)], patience_s=0.2)
    assert len(list(tmp_path.iterdir())) == 1
    holder.communicate("")
    assert holder.returncode == 0


def test_a_worker_is_there_until_its_last_thread_has_ended() -> None:
    code = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "print(flush=True)\n"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()
    worker = named(process)
    while ") Z " not in Path(f"/proc/{process.pid}/stat").read_text():
        time.sleep(0.01)
    assert worker.is_there()
    process.kill()
    clear_after([worker])
    assert not worker.is_there()
    assert process.wait() is not None


def lost(timeout_s: float) -> list[Process]:
    raise ConnectionError("the cluster is gone")


def hanging(timeout_s: float) -> list[Process]:
    threading.Event().wait()
    return []


@pytest.mark.parametrize("workers", [lost, hanging])
def test_an_error_is_neither_hidden_nor_held_up_by_a_cluster_that_is_lost(
    workers: Callable[[float], list[Process]],
) -> None:
    with pytest.raises(ValueError, match="broken"), nodes_cleared(workers, last_patience_s=0.1):
        raise ValueError("broken")


def test_after_an_error_nothing_asks_the_cluster_when_the_block_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray ends a process that still waits for it after its shutdown."""
    asked: list[tuple[str, float]] = []

    def workers(timeout_s: float) -> list[Process]:
        asked.append(("workers", timeout_s))
        return []

    def wait(nodes: object, *, num_returns: int, timeout: float) -> None:
        asked.append(("nodes", timeout))

    monkeypatch.setattr("factory.leftovers.cluster_nodes", list)
    monkeypatch.setattr("ray.wait", wait)
    with pytest.raises(ValueError, match="broken"), nodes_cleared(workers, last_patience_s=2.0):
        raise ValueError("broken")
    assert [what for what, _ in asked] == ["workers", "nodes"]
    assert sum(timeout_s for _, timeout_s in asked) < 2.0


def test_ctrl_c_while_nodes_are_cleared_ends_that() -> None:
    def interrupted(timeout_s: float) -> list[Process]:
        os.kill(os.getpid(), signal.SIGINT)
        return hanging(timeout_s)

    with pytest.raises(KeyboardInterrupt), nodes_cleared(interrupted, last_patience_s=20):
        raise ValueError("broken")


class Worker:
    """An actor of a stage, with a folder."""

    def __init__(self) -> None:
        import ray

        self.scratch = Scratch("engine")
        self.process = Process.this(ray.get_runtime_context().get_node_id())

    def told(self) -> tuple[Process, Path]:
        return self.process, self.scratch.path


@pytest.mark.ray
def test_every_node_is_cleared(ray_cluster: None) -> None:
    import ray

    worker = ray.remote(num_cpus=0)(Worker).remote()
    process, folder = ray.get(worker.told.remote())
    assert folder.is_dir()
    ray.kill(worker)
    gone = Process(node_id="lost", pid=process.pid, started=process.started)
    clear_nodes([process, gone])
    assert not folder.exists()
