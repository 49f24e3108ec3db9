"""One stage while it is watched: begun again where engines are lost, its counters kept."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from factory.engine_actors import beside_the_driver, cluster_nodes
from factory.job_stages import Stage
from factory.leftovers import nodes_cleared
from factory.placement import num_gpus
from factory.silent_workers import silent_workers_end
from factory.spending import ANSWER_TIMEOUT_S, spending, spent
from factory.stages import EnginesLost, OpenerOf, pending_problems, run_stage
from factory.stored import Row, StoredRows
from factory.watching.events import event
from factory.watching.stage_run import StageRun, Watch
from schemas.manifest import Manifest
from schemas.records import Status
from workers.process import Process
from workers.suspects import acquit
from workers.tally import Tally, WorkerCounts
from workers.worker import ATTEMPTS

MAX_BARREN = 3
"""A stage of which an engine has started is begun again when it loses engines, so often without a
row in between."""
PAUSE_S = 20.0
"""Before that, times the number of barren attempts: memory is freed, a network comes back."""


def run_watched(
    stage: Stage,
    source: Mapping[str, Row],
    stored: StoredRows,
    manifest: Manifest,
    watch: Watch,
    opener: OpenerOf | None = None,
    may_write: Callable[[], bool] = lambda: True,
) -> Manifest:
    """One stage over these rows; `stored` is up to date with it afterwards.

    The manifest has its counters, those of earlier runs in them, killed ones too. Problems count by
    what became of them in the end: one that failed and was done again has not failed.
    """
    import ray

    pending = pending_problems(source, stored.rows)
    if pending:
        before = spent(stage.folder)
        tally: Any = ray.remote(num_cpus=0)(Tally).options(**beside_the_driver()).remote()
        run = StageRun(
            name=stage.name,
            num_groups=len(pending),
            num_stored=len(stored.rows),
            tally=tally,
            num_engines=stage.section.max_engines,
            min_engines=stage.section.min_engines,
            num_gpus=num_gpus(stage.section, cluster_nodes()),
            engine_s_before=before.get("engine_s", 0.0),
            gpu_s_before=before.get("gpu_s", 0.0),
        )
        with (
            nodes_cleared(partial(_processes, tally)),
            spending(stage.folder, run, partial(_by_worker, tally), may_write=may_write),
            watch(run),
            silent_workers_end(tally, stage.section.hang_timeout_s),
        ):
            run_until_stored(stage, pending, stored, tally, opener)
    if counters := spent(stage.folder):
        counters |= _outcomes(stored.rows)
        manifest = replace(manifest, stages={**manifest.stages, stage.name: counters})
    return manifest


def _by_worker(tally: Any, timeout_s: float) -> dict[str, WorkerCounts]:
    import ray

    workers: dict[str, WorkerCounts] = ray.get(tally.by_worker.remote(), timeout=timeout_s)
    return workers


def _processes(tally: Any, timeout_s: float) -> list[Process]:
    """Of all workers; none where the tally is lost."""
    import ray

    with suppress(ray.exceptions.RayError):
        counts = _by_worker(tally, timeout_s).values()
        return [process for worker in counts if (process := worker.process) is not None]
    return []


def _outcomes(rows: Mapping[str, Row]) -> dict[str, int]:
    found = Counter(row.status for row in rows.values())
    return {f"num_{status}": found[status] for status in Status}


def _some_started(tally: Any) -> bool:
    import ray

    return bool(ray.get(tally.num_workers.remote(), timeout=ANSWER_TIMEOUT_S))


def _acquit_the_living(folder: Path, tally: Any, lost: str | None) -> None:
    """Ray Data ends all workers where it cannot replace one: what the others ran is not to blame.

    Where it is not known which one that was, or who else was well, all are.
    """
    import ray

    if lost is None:
        return
    with suppress(ray.exceptions.RayError, OSError):
        well = ray.get(tally.well.remote(lost), timeout=ANSWER_TIMEOUT_S)
        acquit(folder / ATTEMPTS, well)


def _not_stored_since(
    earlier: Mapping[str, Row], left: Mapping[str, Row], now: Mapping[str, Row]
) -> dict[str, Row]:
    return {i: row for i, row in left.items() if now.get(i) == earlier.get(i)}


def run_until_stored(
    stage: Stage,
    pending: dict[str, Row],
    stored: StoredRows,
    tally: Any,
    opener: OpenerOf | None,
    run: Callable[..., None] = run_stage,
) -> None:
    """Runs a stage, and again what is left of it where engines are lost.

    What this run has set aside as failed is done for this run, and what an earlier one has comes
    last. Where no engine has started it is an error at once: more of the same would not help.
    """
    folder = stage.folder.open_pass()
    earlier = {i: row for i in pending if (row := stored.rows.get(i)) is not None}
    failed = {i for i, row in earlier.items() if row.status is Status.FAILED}
    left, num_barren, has_worked = pending, 0, False
    while left:
        try:
            run(
                pending=left,
                folder=folder,
                program=stage.program,
                section=stage.section,
                tally=tally,
                open_engine=opener and opener(stage.section),
                open_tool=stage.open_tool,
                last=failed,
            )
            break
        except EnginesLost as error:
            stored.look()
            before, left = left, _not_stored_since(earlier, left, stored.rows)
            is_barren = len(left) == len(before)
            has_worked = has_worked or not is_barren or _some_started(tally)
            num_barren = num_barren + 1 if is_barren else 0
            if not has_worked or num_barren > MAX_BARREN:
                raise
            _acquit_the_living(folder, tally, error.slot)
            event("stage begun again", stage=stage.name, groups=len(left), error=str(error))
            time.sleep(PAUSE_S * num_barren)
    stored.look()
    missing = set(pending) - set(stored.rows)
    assert not missing, f"{len(missing)} problems were worked on and not stored: {min(missing)}"
