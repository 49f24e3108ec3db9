"""One stage while it is watched: progress for a person, silent workers ended, counters kept."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from factory.engine_actors import beside_the_driver, cluster_nodes
from factory.job_stages import Stage
from factory.placement import num_gpus
from factory.silent_workers import silent_workers_end
from factory.stages import OpenerOf, pending_problems, run_stage
from factory.stored import Row, StoredRows
from factory.watching.stage_run import StageRun, Watch
from schemas.manifest import Manifest
from workers.tally import Tally, engine_summary


def run_watched(
    stage: Stage,
    source: Mapping[str, Row],
    stored: StoredRows,
    manifest: Manifest,
    watch: Watch,
    opener: OpenerOf | None = None,
) -> Manifest:
    """One stage over these rows; `stored` is up to date with it afterwards.

    Its counters join the manifest, added to those of earlier runs.
    """
    import ray

    pending = pending_problems(source, stored.rows)
    if not pending:
        return manifest
    tally: Any = ray.remote(num_cpus=0)(Tally).options(**beside_the_driver()).remote()
    started_s = time.monotonic()
    run = StageRun(
        name=stage.name,
        num_groups=len(pending),
        num_stored=len(stored.rows),
        tally=tally,
        num_engines=stage.section.max_engines,
        num_gpus=num_gpus(stage.section, cluster_nodes()),
    )
    with watch(run), silent_workers_end(tally, stage.section.hang_timeout_s):
        run_stage(
            pending=pending,
            stage=stage.folder,
            program=stage.program,
            section=stage.section,
            tally=tally,
            open_engine=opener and opener(stage.section),
            open_tool=stage.open_tool,
        )
    stored.look()
    left = set(pending) - set(stored.rows)
    assert not left, f"{len(left)} problems were worked on and not stored, {min(left)} among them"
    counts = ray.get(tally.total.remote())
    seconds = time.monotonic() - started_s
    earlier = manifest.stages.get(stage.name, {})
    counters = {"seconds": seconds, **_plain(counts)}
    summed = {k: round(v + earlier.get(k, 0), 3) for k, v in counters.items()}
    return replace(manifest, stages={**manifest.stages, stage.name: summed})


def _plain(counts: Any) -> dict[str, Any]:
    return {
        "num_ok": counts.num_ok,
        "num_dropped": counts.num_dropped,
        "num_failed": counts.num_failed,
        "working_s": counts.working_s,
        **engine_summary(counts.engine),
    }
