"""What names a job and a model, and the refusal of a folder made by another job."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory.core.labelers import HardEstimation
from factory.errors import InputError
from factory.identity import check_folder, job_manifest
from factory.job import Job, ModelSection
from factory.models import check_model, context_length, fingerprint
from factory.recipes import load_recipe
from factory.toy import MODEL_DIR
from schemas.manifest import Manifest, write_manifest

RECIPE = load_recipe("math-shepherd")


def manifest(recipe: Any = RECIPE, seed: int = 0, **model: Any) -> Manifest:
    section = {"model": str(MODEL_DIR), **model}
    job = Job.model_validate({"problems": {"path": "/home/me/p.jsonl"}, "generator": section})
    return job_manifest(job.model_copy(update={"seed": seed}), recipe)


@pytest.mark.parametrize(
    "placement",
    [
        {"num_engines": 4},
        {"num_cpus": 2.5, "num_gpus": 1},
        {"device": "cpu"},
        {"groups_in_flight": 3},
        {"engine_args": {"tensor_parallel_size": 2, "gpu_memory_utilization": 0.5}},
    ],
)
def test_where_a_job_runs_does_not_change_its_digest(placement: dict[str, Any]) -> None:
    assert manifest(**placement).digest == manifest().digest


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"system": None},
        {"model": "org/name"},
        {"recipe": load_recipe("genprm")},
        {"engine_args": {"dtype": "bfloat16"}},
        {"engine_args": {"max_model_len": 64}},
    ],
)
def test_what_changes_the_numbers_changes_both_digests(other: dict[str, Any]) -> None:
    assert manifest(**other).digest != manifest().digest
    assert manifest(**other).evidence_digest != manifest().evidence_digest


def test_the_labeler_changes_only_the_digest_of_the_labels() -> None:
    other = manifest(replace(RECIPE, labeler=HardEstimation(above=0.5)))
    assert other.evidence_digest == manifest().evidence_digest
    assert other.digest != manifest().digest


def test_the_manifest_names_no_folder_of_this_machine() -> None:
    assert "/home" not in repr(manifest())
    assert str(MODEL_DIR.parent) not in repr(manifest())


def test_a_folder_made_under_another_digest_is_refused_with_both(tmp_path: Path) -> None:
    made, wanted = manifest(seed=1), manifest(seed=2)
    write_manifest(tmp_path, made)
    with pytest.raises(InputError) as caught:
        check_folder(tmp_path, wanted)
    for part in (made.digest, wanted.digest, "different seed", "choose another --out"):
        assert part in str(caught.value)
    assert "relabel" not in str(caught.value)
    assert check_folder(tmp_path, made) == made


def test_a_folder_with_the_same_evidence_is_refused_with_the_way_to_use_it(tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest())
    with pytest.raises(InputError, match="prm-factory relabel"):
        check_folder(tmp_path, manifest(replace(RECIPE, labeler=HardEstimation(above=0.5))))


def test_only_a_new_or_empty_folder_has_no_maker(tmp_path: Path) -> None:
    assert check_folder(tmp_path, manifest()) is None
    assert check_folder(tmp_path / "new", manifest()) is None
    (tmp_path / "thesis.tex").touch()
    for folder in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(InputError, match="was not made by a job; choose another --out"):
            check_folder(folder, manifest())


def test_a_damaged_manifest_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest.json is damaged: .*; choose another --out"):
        check_folder(tmp_path, manifest())


def model_copy(folder: Path) -> Path:
    return Path(shutil.copytree(MODEL_DIR, folder / "model"))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "chat_template.jinja"])
def test_the_fingerprint_changes_with_every_file_a_model_reads(tmp_path: Path, name: str) -> None:
    folder = model_copy(tmp_path)
    assert fingerprint(str(folder)) == fingerprint(str(MODEL_DIR))
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(bytes(content))
    assert fingerprint(str(folder)) != fingerprint(str(MODEL_DIR))


def test_the_fingerprint_does_not_read_the_readme(tmp_path: Path) -> None:
    folder = model_copy(tmp_path)
    (folder / "README.md").write_text("another word")
    assert fingerprint(str(folder)) == fingerprint(str(MODEL_DIR))
    assert fingerprint("org/name") is None


@pytest.mark.parametrize("model", ["./none", "/none/here", "a/b/c", "none"])
def test_a_model_folder_that_is_missing_is_refused(model: str) -> None:
    with pytest.raises(InputError, match=f"generator.model: folder {model} does not exist"):
        check_model("generator", ModelSection(model=model))


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no config.json, so it is no model"):
        check_model("completer", ModelSection(model=str(tmp_path)))
    check_model("completer", ModelSection(model=str(MODEL_DIR)))
    check_model("completer", ModelSection(model="org/name"))


@pytest.mark.parametrize(
    ("config", "engine_args", "length"),
    [
        ({"max_position_embeddings": 64}, {}, 64),
        ({"max_position_embeddings": 64}, {"max_model_len": 32}, 32),
        ({"max_position_embeddings": 64}, {"max_model_len": "auto"}, 64),
        ({"text_config": {"max_position_embeddings": 16}}, {}, 16),
        ({}, {}, None),
    ],
)
def test_the_context_is_what_the_job_says_or_the_folder(
    tmp_path: Path, config: dict[str, Any], engine_args: dict[str, Any], length: int | None
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    section = ModelSection(model=str(tmp_path), engine_args=engine_args)
    assert context_length(section) == length


def test_a_damaged_model_configuration_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config.json is damaged"):
        context_length(ModelSection(model=str(tmp_path)))
