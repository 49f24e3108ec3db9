"""Events are what two readings of the workers differ in, each said once."""

from typing import Any

from factory.watching.stage_events import StageEvents
from tests.watching.builders import worker
from workers.tally import MAX_RECENT, FailedGroup


class Said:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, name: str, **fields: Any) -> None:
        self.events.append({"event": name, **fields})

    def names(self) -> list[str]:
        names = [event["event"] for event in self.events]
        self.events.clear()
        return names


def failures(*numbers: int) -> tuple[FailedGroup, ...]:
    return tuple(FailedGroup(problem_id=f"p{i}", reason="odd") for i in numbers)


def test_an_engine_comes_up_dies_and_is_replaced() -> None:
    said = Said()
    events = StageEvents("label", said)
    events.read({"one": worker("a", engine_start_s=2.0)})
    assert said.events == [{"event": "engine up", "stage": "label", "engine": "a", "seconds": 2.0}]
    said.events.clear()
    events.read({"one": worker("a", death="CUDA error")})
    events.read({"one": worker("a", death="CUDA error")})
    assert said.names() == ["engine died"]
    events.read({"one": worker("a", death="CUDA error"), "two": worker("a")})
    assert said.names() == ["worker replaced", "engine up"]


def test_each_failed_group_is_named_once() -> None:
    said = Said()
    events = StageEvents("label", said)
    events.read({"one": worker(num_failed=1, recent_failures=failures(1))})
    events.read({"one": worker(num_failed=3, recent_failures=failures(1, 2, 3))})
    events.read({"one": worker(num_failed=3, recent_failures=failures(1, 2, 3))})
    named = [event.get("problem_id") for event in said.events]
    assert named == [None, "p1", "p2", "p3"]


def test_failures_beyond_those_named_are_counted() -> None:
    said = Said()
    recent = failures(*range(MAX_RECENT))
    StageEvents("label", said).read({"one": worker(num_failed=100, recent_failures=recent)})
    assert len([e for e in said.events if e["event"] == "group failed"]) == MAX_RECENT
    assert said.events[-1]["num_groups"] == 100 - MAX_RECENT
