"""What a job runs, where all of it is there already."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory.demo import toy_job
from factory.identity import ENGINES, job_manifest
from factory.intake import checked_intake
from factory.job_folder import JobFolder
from factory.job_stages import Stage
from factory.pipeline import label
from factory.recipes import load_recipe
from factory.revisions import pins_of
from factory.slices import add_problems
from factory.stored import StoredRows, groups_in
from factory.watching.stage_run import unwatched
from schemas.manifest import Manifest, read_manifest, write_manifest
from schemas.records import Status
from tests.factory.builders import store, unlabelled


def no_engine(section: Any) -> Any:
    raise AssertionError("an engine was asked for")


def test_a_row_of_no_problem_of_the_job_goes_to_no_later_stage(tmp_path: Path) -> None:
    out = tmp_path / "job"
    job, recipe = toy_job(out, 1, "qwen-consensus"), load_recipe("qwen-consensus")
    folder = JobFolder(path=out)
    with checked_intake(job, recipe) as intake:
        slices = add_problems(folder.problems, folder.slices(), intake.tables(), 1)
    [ours] = [
        replace(group, status=Status.DROPPED, reason="no luck")
        for group in groups_in(slices.rows, slices.rows)
    ]
    store(folder.estimate.path / "pass-0000" / "a.parquet", [ours, unlabelled("another job's")])
    store(folder.critique.path / "pass-0000" / "a.parquet", [ours])
    write_manifest(out, job_manifest(job, recipe, pins_of(job, recipe, {})))
    manifest = label(job, out, unwatched, opener=no_engine)
    assert (manifest.is_complete, manifest.num_problems) == (True, 1)


@pytest.mark.parametrize("is_done", [True, False])
def test_another_vllm_is_told_and_named_where_it_makes_rows(
    is_done: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "job"
    job, recipe = toy_job(out, 1), load_recipe("math-shepherd")
    folder, said = JobFolder(path=out), list[str]()
    with checked_intake(job, recipe) as intake:
        slices = add_problems(folder.problems, folder.slices(), intake.tables(), 1)
    [problem] = groups_in(slices.rows, slices.rows)
    done = replace(problem, status=Status.DROPPED, reason="no luck")

    def run(stage: Stage, source: Any, stored: StoredRows, manifest: Manifest, *_: Any) -> Manifest:
        if not stored.rows:
            store(stage.folder.path / "pass-0000" / "a.parquet", [done])
            stored.look()
        return manifest

    monkeypatch.setattr("factory.pipeline.open_cluster", lambda num_cpus: nullcontext())
    monkeypatch.setattr("factory.pipeline.run_watched", run)
    began = job_manifest(job, recipe, pins_of(job, recipe, {}))
    if is_done:
        write_manifest(out, began)
        began = label(job, out, unwatched)
    [(engine, here)] = [(n, v) for n, v in began.versions.items() if n in ENGINES]
    earlier = {**began.versions, engine: "0.1.0", "gone": "1"}
    write_manifest(out, replace(began, versions=earlier))
    for _ in range(2):
        label(job, out, unwatched, say=said.append)
        found = read_manifest(out)
        assert found is not None
        both = earlier if is_done else {**earlier, engine: f"0.1.0 and {here}"}
        assert found.versions == both
    told = [line.startswith(f"{engine} {here} goes on with what {engine} 0.1.0") for line in said]
    assert told == ([] if is_done else [True])
