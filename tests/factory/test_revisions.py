"""A Hub model is the commit it was when its job began, for the digest and for every engine."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory.demo import toy_job
from factory.errors import InputError
from factory.identity import evidence_pins, job_manifest
from factory.intake import checked_intake
from factory.job import Job
from factory.job_folder import JobFolder
from factory.pipeline import label
from factory.placement import placement
from factory.problem_checks import checked_problems
from factory.recipes import load_recipe
from factory.revisions import Pin, hub_revision, pinned, pins_of, unpinned
from factory.slices import add_problems
from factory.stored import groups_in
from factory.toy import MODEL_DIR
from factory.watching.stage_run import unwatched
from schemas.manifest import read_manifest, write_manifest
from schemas.records import Status
from tests.factory.builders import store
from tests.factory.test_pipeline import no_engine

RECIPE = load_recipe("math-shepherd")
THEN, NOW, BRANCH, TOKENS = (letter * 40 for letter in "abcd")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Hub's, offline; models--org--name has two branches."""
    folder = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    for name, commit in (("name", THEN), ("tokens", TOKENS)):
        (folder / f"models--org--{name}" / "refs").mkdir(parents=True)
        move(folder, commit, name=name)
    move(folder, BRANCH, "v2")
    return folder


def move(folder: Path, commit: str | None, branch: str = "main", name: str = "name") -> None:
    """The branch is another commit now; `None`: the cache knows it no more."""
    ref = folder / f"models--org--{name}" / "refs" / branch
    ref.unlink(missing_ok=True)
    if commit is not None:
        ref.write_text(commit)
    hub_revision.cache_clear()


def on_hub(**arguments: Any) -> Job:
    section = {"model": "org/name", "engine_args": arguments}
    return Job.model_validate({"problems": {"path": "p"}, "generator": section})


def told(job: Job) -> dict[str, Any]:
    """The arguments that an engine of the generator gets."""
    section = pinned(job, pins_of(job, RECIPE, {})).generator
    assert section is not None
    return placement(section, []).engine_args


PINS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "main": ({}, {"revision": THEN}),
    "a branch": ({"revision": "v2"}, {"revision": BRANCH}),
    "a commit": ({"revision": NOW}, {"revision": NOW}),
    "what nobody knows": ({"revision": "v3"}, {"revision": "v3"}),
    "the tokenizer's own branch": (
        {"tokenizer_revision": "v2"},
        {"revision": THEN, "tokenizer_revision": BRANCH},
    ),
    "another tokenizer": (
        {"tokenizer": "org/tokens"},
        {"revision": THEN, "tokenizer": "org/tokens", "tokenizer_revision": TOKENS},
    ),
    "one that nobody knows": (
        {"tokenizer": "org/none", "revision": NOW},
        {"revision": NOW, "tokenizer": "org/none", "tokenizer_revision": "main"},
    ),
    "a tokenizer's folder": (
        {"tokenizer": str(MODEL_DIR)},
        {"revision": THEN, "tokenizer": str(MODEL_DIR)},
    ),
    "a configuration from elsewhere": (
        {"hf_config_path": "org/config"},
        {"hf_config_path": "org/config"},
    ),
}


@pytest.mark.parametrize(("asked", "arguments"), PINS.values(), ids=PINS)
def test_engines_are_told_commits(asked: dict[str, Any], arguments: dict[str, Any]) -> None:
    assert told(on_hub(**asked)) == arguments


def test_a_local_model_has_no_commit() -> None:
    job = on_hub()
    assert job.generator is not None
    local = job.generator.model_copy(update={"model": str(MODEL_DIR)})
    assert told(job.model_copy(update={"generator": local})) == {}


def test_a_model_without_a_commit_is_said_and_may_be_used(cache: Path) -> None:
    move(cache, None)
    job = on_hub()
    pins = pins_of(job, RECIPE, {})
    [line] = unpinned(job, pins)
    assert line.startswith("generator.model org/name is not pinned to a commit: each engine loads")
    assert pinned(job, pins) == job
    move(cache, NOW)
    assert pins_of(job, RECIPE, pins) == pins  # its digest says so, also when it is known later
    assert list(unpinned(job, pins_of(job, RECIPE, {}))) == []


def test_offline_the_only_commit_that_engines_left_is_main(cache: Path) -> None:
    """Engines that are told a commit write no ref."""
    move(cache, None)
    snapshots = cache / "models--org--name" / "snapshots"
    (snapshots / THEN).mkdir(parents=True)
    assert told(on_hub()) == {"revision": THEN}
    assert told(on_hub(revision="v3")) == {"revision": "v3"}
    (snapshots / NOW).mkdir()
    hub_revision.cache_clear()
    assert told(on_hub()) == {}


def test_a_commit_that_the_job_names_is_one_whatever_vllm_looks_up_elsewhere() -> None:
    job = on_hub(revision=NOW, hf_config_path="org/config")
    assert list(unpinned(job, pins_of(job, RECIPE, {}))) == []
    job = on_hub(revision="v2", hf_config_path="org/config")
    assert len(list(unpinned(job, pins_of(job, RECIPE, {})))) == 1


def test_a_teacher_is_not_taken_over_with_the_evidence_it_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = {role: Pin(model="org/name", revision=THEN) for role in ("generator", "teacher")}
    monkeypatch.setattr("factory.identity.pins_in", lambda folder: pins)
    assert list(evidence_pins(tmp_path)) == ["generator"]


def test_the_commit_of_another_model_is_none_of_ours(cache: Path) -> None:
    other = {"generator": Pin(model="org/other", revision=NOW)}
    assert pins_of(on_hub(), RECIPE, other)["generator"].revision == THEN


def test_questions_are_measured_by_the_tokenizer_of_that_commit(
    tmp_path: Path, cache: Path
) -> None:
    shutil.copytree(MODEL_DIR, cache / "models--org--name" / "snapshots" / THEN)
    toy = toy_job(tmp_path / "job", 1)
    job = toy.model_copy(update={"generator": on_hub(max_model_len=8).generator})
    job = pinned(job, pins_of(job, RECIPE, {}))
    move(cache, NOW)
    with pytest.raises(InputError, match=r"question of .* does not fit"):
        list(checked_problems(job, RECIPE))


def begun(out: Path, **arguments: Any) -> Job:
    """A job all of whose problems are done, in a folder of before engines were told commits."""
    toy = toy_job(out, 1, "math-shepherd")
    job = toy.model_copy(update={"generator": on_hub(**arguments).generator})
    folder = JobFolder(path=out)
    with checked_intake(job, RECIPE) as intake:
        slices = add_problems(folder.problems, folder.slices(), intake.tables(), 1)
    [problem] = groups_in(slices.rows, slices.rows)
    done = replace(problem, status=Status.DROPPED, reason="no luck")
    store(folder.estimate.path / "pass-0000" / "a.parquet", [done])
    write_manifest(out, job_manifest(job, RECIPE, pins_of(job, RECIPE, {})))
    return job


def run(job: Job, out: Path, **options: Any) -> Any:
    """The revision that engines of the run would have been told."""
    label(job, out, unwatched, opener=no_engine, **options)
    return json.loads((out / "job.json").read_text())["generator"]["engine_args"].get("revision")


def test_a_folder_goes_on_with_the_commit_it_began_with(tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "job"
    job = begun(out)
    move(cache, NOW)
    assert run(job, out) == THEN
    move(cache, None)
    assert run(job, out) == THEN
    manifest = read_manifest(out)
    assert manifest is not None
    assert manifest.models["generator"]["revision"] == THEN


def test_a_folder_of_a_branch_goes_on_with_its_first_pinned_commit(
    tmp_path: Path, cache: Path
) -> None:
    out = tmp_path / "job"
    job = begun(out, revision="v2")
    assert run(job, out) == BRANCH
    move(cache, NOW, "v2")
    assert run(job, out) == BRANCH


def test_rollouts_are_taken_over_with_their_commit(tmp_path: Path, cache: Path) -> None:
    job = begun(tmp_path / "theirs")
    move(cache, NOW)
    assert run(job, tmp_path / "ours", evidence_of=tmp_path / "theirs") == THEN
