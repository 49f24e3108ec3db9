"""What others hand us runs no code, fills no memory and leads out of no folder."""

from pathlib import Path
from typing import Any

import pytest

from factory.bounded_yaml import MAX_BYTES
from factory.engine_args import secret_in
from factory.errors import InputError
from factory.hub.source import read_source
from factory.job import Job
from factory.job_file import load_job
from factory.trust import check_code, code_in
from schemas.manifest import MANIFEST, read_manifest
from tests.factory.builders import job_file, job_folder
from tests.factory.test_cli import run as run  # the fixture
from workers.engine_args import known_here

SECTION = {"model": "org/name"}


def job(**fields: Any) -> Job:
    return Job.model_validate({"problems": {"path": "x"}, "generator": SECTION, **fields})


def asking(role: str = "generator", **arguments: Any) -> Job:
    return job(**{role: {**SECTION, "engine_args": arguments}})


RUNS_CODE = {
    "code of the model's repository": asking(trust_remote_code=True),
    "of the teacher's": asking("teacher", trust_remote_code=True),
    "of a draft model's": asking(speculative_config={"model": "o/n", "trust_remote_code": True}),
    "a class that drafts": asking(speculative_config={"method": "custom_class", "model": "o/n"}),
    "one told by its name": asking(speculative_config={"model": "mine.Class"}),
    "the same as flags": asking(spec_model="mine.Class", spec_tokens=3),
    "and by its method": asking(spec_method="custom_class"),
    "a cache by name": asking(ec_manager_config={"encoder_cache_manager_cls": "mine.Cache"}),
    "pickles": asking(load_format="ipc_cache"),
    "pickles in capitals": asking(load_format="IPC_CACHE"),
    "a class by name": asking(worker_extension_cls="os.path"),
    "classes by name": asking(logits_processors=["mine:Processor"]),
    "a file of Python": asking(reasoning_parser_plugin="/tmp/x.py"),
    "an executor by name": asking(distributed_executor_backend="mine.Executor"),
    "a log configuration": asking(logging_config={"handlers": {"x": {"()": "os.system"}}}),
    "a group on another host": asking(
        tensor_parallel_size=2, nnodes=2, node_rank=1, master_addr="203.0.113.7"
    ),
    "a second node": asking(nnodes=2, node_rank=0),
    "a first place that vLLM takes for one": asking(data_parallel_rank=False),
    "its first place": asking(data_parallel_size=2, data_parallel_rank=0),
    "what engines tell each other": asking(data_parallel_address="203.0.113.7"),
    "traces to another host": asking(otlp_traces_endpoint="http://203.0.113.7:4317"),
    "events of the cache": asking(kv_events_config={"publisher": "zmq", "endpoint": "tcp://*:1"}),
    "a draft's weights from a socket": asking(
        speculative_config={"model": "o/n", "draft_load_config": {"load_format": "ipc_cache"}}
    ),
    "weights from an address": asking(load_format="tensorizer"),
    "a file that is written": asking(mm_encoder_fp8_scale_save_path="/home/me/.bashrc"),
    "no sandbox": job(sandbox={"unsafe": True}),
}


@pytest.mark.parametrize("given", RUNS_CODE.values(), ids=RUNS_CODE.keys())
def test_what_runs_code_needs_the_flag(given: Job) -> None:
    with pytest.raises(InputError, match=r"if you trust whoever wrote the job file, add --allow-"):
        check_code(given, allow_code=False)
    check_code(given, allow_code=True)


@pytest.mark.parametrize(
    "given",
    [
        asking(tensor_parallel_size=4, distributed_executor_backend="ray", dtype="bfloat16"),
        asking(trust_remote_code=False, hf_overrides={"rope_theta": 1e6}),
        asking(trust_remote_code=0, nnodes=1, node_rank=0, data_parallel_hybrid_lb=False),
        asking(trust_remote_code=None, nnodes=None, logits_processors=[], additional_config={}),
        asking(speculative_config={"method": "ngram", "num_speculative_tokens": 3}),
        asking(speculative_config={"method": "eagle3", "model": "org/Draft-1.5B"}),
        asking(spec_model="/models/draft-1.5b", load_format="safetensors"),
        job(recipe="genprm"),
    ],
)
def test_what_runs_no_code_needs_none(given: Job) -> None:
    assert list(code_in(given)) == []


def test_a_recipe_file_of_a_job_is_not_executed_without_the_flag(tmp_path: Path, run: Any) -> None:
    witness = tmp_path / "witness"
    (tmp_path / "mine.py").write_text(f"open({str(witness)!r}, 'w')")
    (tmp_path / "problems.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n')
    file = job_file(tmp_path, recipe="mine.py")
    code, _, err = run("label", file, "-o", tmp_path / "out")
    assert (code, witness.exists()) == (2, False)
    assert "mine.py is Python code that would be executed: if you trust" in err
    code, _, err = run("label", file, "-o", tmp_path / "out", "--allow-code")
    assert (code, witness.exists()) == (2, True)
    assert "does not define RECIPE" in err


def test_the_environment_may_allow_code_for_a_cluster_of_ones_own(
    tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").touch()
    monkeypatch.setenv("PRM_FACTORY_ALLOW_CODE", "1")
    _, _, err = run("label", job_file(tmp_path, recipe="mine.py"), "-o", tmp_path / "out")
    assert "does not define RECIPE" in err


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 10)
)
BOMBS = {
    "a billion laughs": (LAUGHS, "aliases that spell out to more than 20,000 values"),
    "merged ones": (MERGES, "aliases that spell out to more than 20,000 values"),
    "an alias in itself": ("a: &a [*a]", "aliases that spell out"),
    "brackets": ("[" * 100_000, "more than 50 levels"),
    "indented": ("".join(" " * n + "a:\n" for n in range(60)) + " " * 60 + "a: 1", "more than 50"),
    "a large file": ("#" * (MAX_BYTES + 1), "more than 1 MiB"),
    "a Python object": ("a: !!python/object/apply:os.system ['true']", "not YAML: could not det"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("text", "message"), BOMBS.values(), ids=BOMBS.keys())
def test_yaml_that_would_burst_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "job.yaml").write_text(text)
    with pytest.raises(InputError) as refused:
        load_job(tmp_path / "job.yaml")
    assert message in str(refused.value)


def test_a_section_may_still_be_repeated_by_alias(tmp_path: Path) -> None:
    text = "problems: {path: x}\ngenerator: &g {model: a/b}\ncompleter: *g\n"
    (tmp_path / "job.yaml").write_text(text)
    found = load_job(tmp_path / "job.yaml")
    assert found.generator == found.completer


PATHS = ("../secret", "/etc/passwd", "data/../../x", "..", "", "data\\..\\x")


@pytest.mark.parametrize("path", PATHS)
def test_a_manifest_that_leads_out_of_its_folder_is_damaged(tmp_path: Path, path: str) -> None:
    folder = job_folder(tmp_path / "job")
    manifest = folder / MANIFEST
    shard = '[{"path": %s, "sha256": "0", "num_bytes": 1, "num_rows": 1}]'
    escaped = '"' + path.replace("\\", "\\\\") + '"'
    manifest.write_text(
        manifest.read_text().replace('"shards": []', f'"shards": {shard % escaped}')
    )
    with pytest.raises(ValueError, match=r"leaves the dataset's folder"):
        read_manifest(folder)
    with pytest.raises(InputError, match=r"leaves the dataset's folder"):
        read_source(folder, None)


HF = "hf_" + "a1B2" * 9
SECRETS: dict[str, tuple[dict[str, Any], str]] = {
    "as a flag": ({"hf-token": HF}, "hf-token does not belong in a job file: set HF_TOKEN"),
    "inside another": (
        {"model_loader_extra_config": {"token": HF}},
        "model_loader_extra_config.token does not belong in a job file: set HF_TOKEN",
    ),
    "in a list": ({"x": [{"apiKey": HF}]}, "x.0.apiKey does not belong in a job file: set API_KEY"),
    "a key of a bucket": ({"x": {"aws_secret_access_key": HF}}, "set AWS_SECRET_ACCESS_KEY in"),
    "a number": ({"kv_transfer_config": {"redis_password": 12345}}, "set REDIS_PASSWORD in the"),
    "under an innocent name": ({"revision": HF}, "revision holds a secret"),
    "in an address": ({"otlp_traces_endpoint": f"http://u:{HF}@h"}, "endpoint holds a secret"),
}


@pytest.mark.parametrize(("arguments", "said"), SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_among_engine_arguments_is_refused_unseen(
    tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    file = job_file(tmp_path, generator={**SECTION, "engine_args": arguments})
    with pytest.raises(InputError) as refused:
        load_job(file)
    assert said in str(refused.value)
    assert HF not in str(refused.value)
    assert "12345" not in str(refused.value)


@pytest.mark.parametrize(
    "problems", ["s3://KEY:S3CRET@bucket/x.jsonl", "https://host/x.jsonl?v=1&token=S3CRET"]
)
def test_a_password_in_the_problems_address_is_refused_unseen(
    tmp_path: Path, problems: str
) -> None:
    with pytest.raises(InputError, match="credentials come from the environment") as refused:
        load_job(job_file(tmp_path, problems=problems))
    assert "S3CRET" not in str(refused.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"hf_token": True},
        {"hf_token": None},
        {"max_num_batched_tokens": 8192, "tokenizer": "org/name", "tokenizer_mode": "auto"},
        {"long_prefill_token_threshold": 4, "skip_tokenizer_init": False, "tokens_only": False},
        {"hf_overrides": {"num_experts_per_token": 2, "pad_token": "<|endoftext|>"}},
        {"download_dir": "/scratch/hf_downloads_of_all"},
    ],
)
def test_what_only_sounds_like_a_secret_is_none(arguments: dict[str, Any]) -> None:
    assert asking(**arguments).generator is not None


def test_no_engine_argument_of_vllm_that_is_a_text_sounds_like_a_secret_but_the_token() -> None:
    assert known_here(), "the vLLM installed here is not understood any more"
    assert [name for name in sorted(known_here()) if secret_in({name: "x"})] == ["hf_token"]


def test_a_token_in_a_job_file_is_refused(tmp_path: Path) -> None:
    file = job_file(tmp_path, generator={**SECTION, "engine_args": {"hf_token": "hf_abc"}})
    with pytest.raises(InputError, match=r"set HF_TOKEN in the environment") as refused:
        load_job(file)
    assert "hf_abc" not in str(refused.value)
