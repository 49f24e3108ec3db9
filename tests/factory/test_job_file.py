"""Job files: what is read, and the one line that says what is wrong."""

import json
from pathlib import Path

import pytest

from factory.errors import InputError
from factory.job import Job
from factory.job_file import load_job

MODEL = "generator: {model: org/name}\n"


def loaded(folder: Path, text: str | bytes) -> Job:
    file = folder / "job.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_job(file)


REFUSED = {
    "empty": ("", "job.yaml: a job file is a mapping"),
    "a list": ("- problems", "a job file is a mapping"),
    "a sentence": ("label these, please", "a job file is a mapping"),
    "not YAML": ("problems: {path: x\ngenerator: y: z\n", "job.yaml:2: not YAML"),
    "a tab": ("problems:\n\tpath: x\n", "job.yaml:2: not YAML"),
    "a control character": ("problems: \x00", "job.yaml: not YAML"),
    "an impossible date": ("seed: 2024-13-45\n" + MODEL, "not YAML: month must be in 1..12"),
    "not UTF-8": (b"problems: \xff", "is not UTF-8"),
    "no problems": (MODEL, "job.yaml: problems is missing: add it"),
    "no path": ("seed: 1\nproblems: {limit: 3}\n" + MODEL, "job.yaml:2: problems.path is missing"),
    "an empty path": ("problems: {path: ''}\n" + MODEL, "job.yaml:1: problems.path:"),
    "an empty model": (
        "problems: {path: x}\ngenerator: {model: ''}",
        "job.yaml:2: generator.model",
    ),
    "no model": ("problems: {path: x}\n", "name a model: add 'generator: {model: ...}'"),
    "an unknown field": (
        "problems: {path: x}\ngenerator:\n  model: a/b\n  num_engine: 2\n",
        "job.yaml:4: unknown field generator.num_engine: did you mean 'num_engines'?",
    ),
    "a field of nothing near": (
        "problems: {path: x}\nzebra: 1\n" + MODEL,
        "job.yaml:2: unknown field zebra: known are completer, generator",
    ),
    "an unknown column": (
        "problems: {path: x, columns: {anser: a}}\n" + MODEL,
        "job.yaml:1: problems.columns.anser",
    ),
    "a wrong type": ("problems: {path: x}\nseed: soon\n" + MODEL, "job.yaml:2: seed:"),
    "a negative limit": (
        "problems:\n  path: x\n  limit: 0\n" + MODEL,
        "job.yaml:3: problems.limit",
    ),
    "a wrong choice": (
        "problems: {path: x}\noutput:\n  format: csv\n" + MODEL,
        "job.yaml:3: output.format: Input should be 'parquet' or 'arrow', not 'csv'",
    ),
}


REFUSED_GPUS = {
    "a size in quotes": (
        "engine_args: {tensor_parallel_size: '4'}",
        "tensor_parallel_size '4' is no whole number of GPUs",
    ),
    "half a GPU": ("engine_args: {pipeline_parallel_size: 1.5}", "pipeline_parallel_size 1.5 is"),
    "none": ("engine_args: {data_parallel_size: 0}", "data_parallel_size 0 is no whole number"),
    "a flag's name": (
        "engine_args: {tensor-parallel-size: 4}",
        "tensor-parallel-size is a flag's name: write tensor_parallel_size",
    ),
    "too few": (
        "num_gpus: 2, engine_args: {tensor_parallel_size: 4}",
        "num_gpus 2, and engine_args ask for 4: leave num_gpus out",
    ),
    "too many": ("num_gpus: 2", "num_gpus 2, and engine_args ask for 1: leave num_gpus out"),
}


@pytest.mark.parametrize(("fields", "message"), REFUSED_GPUS.values(), ids=REFUSED_GPUS.keys())
def test_gpus_that_would_be_reserved_wrongly_are_refused(
    tmp_path: Path, fields: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, f"problems: {{path: x}}\ngenerator: {{model: a/b, {fields}}}\n")
    assert message in str(caught.value)


def test_an_engine_needs_a_gpu_for_every_part_it_runs_in_parallel(tmp_path: Path) -> None:
    sizes = "{tensor_parallel_size: 2, data_parallel_size: 4}"
    text = f"problems: {{path: x}}\ngenerator: {{model: a/b, engine_args: {sizes}}}\n"
    assert loaded(tmp_path, text).completing.world_size == 8
    assert loaded(tmp_path, text.replace("a/b", "a/b, num_gpus: 8")).completing.num_gpus == 8


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_job_file_is_refused_in_one_line(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_long_wrong_value_is_cut_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, f"problems: {{path: x}}\nseed: {'x' * 100_000}\n{MODEL}")
    assert len(str(caught.value)) < 500


def test_a_missing_job_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_job(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="Is a directory"):
        load_job(tmp_path)


def test_paths_are_relative_to_the_job_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "p.jsonl").touch()
    (tmp_path / "model").mkdir()
    (tmp_path / "mine.py").touch()
    job = loaded(
        tmp_path, "problems: {path: data/p.jsonl}\ngenerator: {model: model}\nrecipe: mine.py\n"
    )
    assert job.problems.path == str(tmp_path / "data" / "p.jsonl")
    assert job.completing.model == str(tmp_path / "model")
    assert job.recipe == str(tmp_path / "mine.py")


def test_paths_among_engine_arguments_are_relative_to_the_job_file_too(tmp_path: Path) -> None:
    for folder in ("tok", "draft-1.5b", "ray", "models/config"):
        (tmp_path / folder).mkdir(parents=True)
    given = {
        "tokenizer": "./tok",
        "hf_config_path": "models/config",
        "speculative_config": {"model": "draft-1.5b", "method": "eagle3"},
        "distributed_executor_backend": "ray",
        "revision": "refs/pr/1",
        "hf_overrides": {"x": "/" * 9_999 + "x"},
    }
    text = f"problems: {{path: x}}\ngenerator: {{model: a/b, engine_args: {json.dumps(given)}}}\n"
    assert loaded(tmp_path, text).completing.engine_args == {
        **given,
        "tokenizer": str(tmp_path / "tok"),
        "hf_config_path": str(tmp_path / "models" / "config"),
        "speculative_config": {"model": str(tmp_path / "draft-1.5b"), "method": "eagle3"},
    }


def test_a_hub_id_stays_what_it_is(tmp_path: Path) -> None:
    job = loaded(tmp_path, "problems: {path: openai/gsm8k, config: main}\n" + MODEL)
    assert (job.problems.path, job.completing.model) == ("openai/gsm8k", "org/name")


def test_a_missing_model_in_a_folder_that_is_there_is_no_hub_id(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    job = loaded(tmp_path, "problems: {path: x}\ngenerator: {model: models/qwen}\n")
    assert job.completing.model == str(tmp_path / "models" / "qwen")


def test_the_completer_is_the_generator_unless_told_otherwise(tmp_path: Path) -> None:
    both = loaded(tmp_path, "problems: {path: x}\ncompleter: {model: c/d}\n" + MODEL)
    assert both.completing.model == "c/d"
    assert loaded(tmp_path, "\ufeffproblems: {path: x}\n" + MODEL).completing.model == "org/name"


def test_whether_a_new_repo_is_private_is_left_to_its_owner(tmp_path: Path) -> None:
    text = "problems: {path: x}\npush_to: org/labels\n" + MODEL
    assert loaded(tmp_path, text).push.private is None


def test_the_adaptive_recipe_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("problems: {path: p.jsonl}\ngenerator: {model: org/name}\n", encoding="utf-8")
    assert load_job(path).recipe == "adaptive"
