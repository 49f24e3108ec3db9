"""Counters grow by what is new, gauges are what is now, and every metric is on the dashboard."""

import json
import re
from collections import defaultdict
from pathlib import Path

from factory.watching.export import Exporter
from factory.watching.metrics import ALL_METRICS, PREFIX
from factory.watching.status import Rates, stage_status
from tests.watching.builders import job, stage, worker
from workers.tally import WorkerCounts

DASHBOARD = Path(__file__).parents[2] / "docker" / "grafana-dashboard.json"


class Recorded:
    """A meter that remembers: sums of counters, last values of gauges, by name and place."""

    def __init__(self) -> None:
        self.values: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.tags: set[tuple[str, ...]] = set()

    def add(self, name: str, kind: str, help: str, value: float, tags: dict[str, str]) -> None:
        key = (name.removeprefix(PREFIX), tags.get("engine", ""))
        self.tags.add(tuple(tags))
        assert value > 0 or kind == "gauge", f"{name} cannot fall"
        self.values[key] = value + (self.values[key] if kind == "counter" else 0)


def export(exporter: Exporter, workers: dict[str, WorkerCounts], *, is_last: bool = False) -> None:
    status = stage_status(stage(gpu_s=7.0, engine_s=7.0), workers, Rates(groups_per_s=1.0))
    (exporter.end_stage if is_last else exporter.stage)(status, workers)


def test_counters_end_where_the_counts_do() -> None:
    meter = Recorded()
    exporter = Exporter(meter, "51f3")
    for done in (0, 3, 3, 8):
        export(exporter, {"one": worker("a", tokens=100 * done, num_ok=done)})
    assert meter.values["rows_done", "a"] == 8
    assert meter.values["generated_tokens", "a"] == 800
    assert meter.values["gpu_seconds", ""] == 7.0
    assert meter.tags == {("job_digest", "stage", "engine"), ("job_digest", "stage")}


def test_a_replaced_worker_adds_to_the_counter_of_its_place() -> None:
    meter = Recorded()
    exporter = Exporter(meter, "51f3")
    dead = worker("a", num_ok=5, num_in_flight=4, death="gone")
    export(exporter, {"one": dead})
    export(exporter, {"one": dead, "two": worker("a", num_ok=2, num_in_flight=1)})
    assert meter.values["rows_done", "a"] == 7
    assert meter.values["rows_in_flight", "a"] == 1
    assert meter.values["engine_deaths", ""] == meter.values["workers_replaced", ""] == 1


def test_gauges_are_zero_where_no_engine_is_heard_any_more() -> None:
    meter = Recorded()
    exporter = Exporter(meter, "51f3")
    up = worker("b", num_in_flight=4)
    export(exporter, {"one": worker("a", num_in_flight=4), "two": up})
    export(exporter, {"one": worker("a", num_in_flight=4, silent_s=1000.0), "two": up})
    assert (meter.values["rows_in_flight", "a"], meter.values["rows_in_flight", "b"]) == (0, 4)


def test_gauges_are_zero_when_the_stage_has_ended() -> None:
    meter = Recorded()
    exporter = Exporter(meter, "51f3")
    workers = {"one": worker("a", num_ok=5, num_in_flight=4)}
    export(exporter, workers)
    assert meter.values["rows_in_flight", "a"] == 4
    assert meter.values["seconds_left", ""] == 95
    export(exporter, workers, is_last=True)
    assert meter.values["rows_in_flight", "a"] == meter.values["seconds_left", ""] == 0
    assert meter.values["rows_done", "a"] == 5


def test_the_same_stage_run_twice_goes_on_counting() -> None:
    meter = Recorded()
    exporter = Exporter(meter, "51f3")
    export(exporter, {"one": worker("a", num_ok=5)}, is_last=True)
    export(exporter, {"other": worker("b", num_ok=2)}, is_last=True)
    assert (meter.values["rows_done", "a"], meter.values["rows_done", "b"]) == (5, 2)


def test_shards_are_the_jobs() -> None:
    meter = Recorded()
    Exporter(meter, "51f3").job(job(num_shards_sealed=4, num_shards_pushed=3))
    assert (meter.values["shards_sealed", ""], meter.values["shards_pushed", ""]) == (4, 3)


def test_names_are_unique_and_spelt_as_prometheus_wants() -> None:
    names = [metric.name for metric in ALL_METRICS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"prm_factory_[a-z_]+", name) for name in names)
    assert not [name for name in names if name.endswith("_total")]  # Ray puts it there


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    content = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in content["panels"] for target in panel.get("targets", [])]
    used = set(re.findall(r"\bray_prm_factory_\w+", " ".join(queries)))
    assert used == {metric.exported_name for metric in ALL_METRICS}
    for query in queries:
        assert query.count("(") == query.count(")")
        assert 'job_digest=~"$job"' in query


def test_every_panel_has_a_place_of_its_own() -> None:
    content = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in content["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
