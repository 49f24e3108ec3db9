"""What a job runs, where all of it is there already."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from factory.demo import toy_job
from factory.identity import ENGINES, job_manifest
from factory.intake import checked_intake
from factory.job_folder import JobFolder
from factory.pipeline import label
from factory.recipes import load_recipe
from factory.revisions import pins_of
from factory.slices import add_problems
from factory.stored import groups_in
from factory.watching.stage_run import unwatched
from schemas.manifest import read_manifest, write_manifest
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


def test_a_job_that_goes_on_under_another_vllm_says_so_and_names_both(tmp_path: Path) -> None:
    out = tmp_path / "job"
    job, recipe = toy_job(out, 1), load_recipe("math-shepherd")
    folder, said = JobFolder(path=out), list[str]()
    with checked_intake(job, recipe) as intake:
        slices = add_problems(folder.problems, folder.slices(), intake.tables(), 1)
    [problem] = groups_in(slices.rows, slices.rows)
    done = replace(problem, status=Status.DROPPED, reason="no luck")
    store(folder.estimate.path / "pass-0000" / "a.parquet", [done])
    began = job_manifest(job, recipe, pins_of(job, recipe, {}))
    [(engine, here)] = [(n, v) for n, v in began.versions.items() if n in ENGINES]
    write_manifest(out, replace(began, versions={**began.versions, engine: "0.1.0", "gone": "1"}))
    for _ in range(2):
        label(job, out, unwatched, opener=no_engine, say=said.append)
        for place in (out, folder.dataset):
            found = read_manifest(place)
            assert found is not None
            assert found.versions == {**began.versions, engine: f"0.1.0 and {here}", "gone": "1"}
    assert said[0].startswith(f"{engine} {here} goes on with what {engine} 0.1.0 began")
    assert len(said) == 2
