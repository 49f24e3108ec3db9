"""What runs cost is added up, that of killed ones too."""

import json
import threading
import time
from pathlib import Path

import pytest

from factory.spending import ANSWER_TIMEOUT_S, LAST_ANSWER_S, spending, spent
from factory.stage_folder import StageFolder
from workers.engine import EngineStats
from workers.tally import WorkerCounts


def counts(tokens: int) -> WorkerCounts:
    return WorkerCounts(num_ok=tokens // 10, engine=EngineStats(num_generated_tokens=tokens))


def test_a_stage_that_never_ran_has_no_counters(tmp_path: Path) -> None:
    assert spent(StageFolder(path=tmp_path / "stage")) == {}


def test_runs_are_added_up_whatever_ended_them(tmp_path: Path) -> None:
    stage = StageFolder(path=tmp_path / "stage")
    with pytest.raises(KeyboardInterrupt), spending(stage, lambda timeout_s: counts(100)):
        raise KeyboardInterrupt
    with spending(stage, lambda timeout_s: counts(30)):
        pass
    total = spent(stage)
    assert (total["num_generated_tokens"], total["num_ok"]) == (130, 13)
    assert len(list(stage.costs.iterdir())) == 2


def test_a_killed_run_leaves_what_it_had_counted(tmp_path: Path) -> None:
    """The file that is there while a run works is all that is left of one that is killed."""
    stage = StageFolder(path=tmp_path / "stage")
    with spending(stage, lambda timeout_s: counts(70), interval_s=0.01):
        deadline_s = time.monotonic() + 60
        while not spent(stage):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        assert spent(stage)["num_generated_tokens"] == 70
        [file] = stage.costs.glob("*.json")
        assert json.loads(file.read_bytes())["seconds"] >= 0.01


def test_counts_that_cannot_be_had_hide_no_error(tmp_path: Path) -> None:
    def gone(timeout_s: float) -> WorkerCounts:
        raise TimeoutError("the tally does not answer")

    with (
        pytest.raises(RuntimeError, match="the stage's own"),
        spending(StageFolder(path=tmp_path), gone),
    ):
        raise RuntimeError("the stage's own")


def test_a_run_that_is_told_to_end_waits_less_for_its_last_count(tmp_path: Path) -> None:
    asked: list[float] = []

    def count(timeout_s: float) -> WorkerCounts:
        asked.append(timeout_s)
        return counts(10)

    stage = StageFolder(path=tmp_path)
    with spending(stage, count):
        pass
    with pytest.raises(KeyboardInterrupt), spending(stage, count):
        raise KeyboardInterrupt
    assert asked == [ANSWER_TIMEOUT_S, LAST_ANSWER_S]


def test_a_count_that_comes_too_late_replaces_no_later_one(tmp_path: Path) -> None:
    stage = StageFolder(path=tmp_path)
    was_asked, may_answer = threading.Event(), threading.Event()

    def count(timeout_s: float) -> WorkerCounts:
        if threading.current_thread() is threading.main_thread():
            return counts(20)
        was_asked.set()
        may_answer.wait(60)
        return counts(10)

    with spending(stage, count, interval_s=0.01, patience_s=0.01):
        was_asked.wait(60)
        [late] = [t for t in threading.enumerate() if t.name == "spending"]
    assert late.is_alive(), "it is not waited for"
    may_answer.set()
    late.join()
    assert spent(stage)["num_generated_tokens"] == 20
