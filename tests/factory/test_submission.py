"""Jobs sent to a cluster: what is shipped, under which id, and what a person is told."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import typer
import yaml

from factory.cli.cluster import follow_job
from factory.errors import InputError
from factory.job_file import load_job
from factory.submission import bundle as bundles
from factory.submission.bundle import TOKEN_FILE, Bundle, make_bundle, pack
from factory.submission.client import connect
from factory.submission.jobs import (
    STOP_TIMEOUT_S,
    check_out,
    follow,
    logs_of,
    state_of,
    states,
    stop,
    submit,
)
from tests.factory.builders import job_file
from tests.factory.test_cli import run as run  # the fixture

OUT = "/shared/runs/a"
ROOT = Path(__file__).parents[2]


@dataclass
class FakeJob:
    """As much of Ray's JobDetails as is read."""

    submission_id: str
    metadata: dict[str, str]
    status: str = "RUNNING"
    message: str = "it runs"
    job_id: str | None = None
    start_time: int | None = 1_000
    end_time: int | None = None


def files_that_ray_sends(runtime_env: dict[str, Any]) -> list[str]:
    """By Ray's own packer, as its client calls it."""
    from ray._private.runtime_env.packaging import create_package
    from ray._private.runtime_env.working_dir import upload_working_dir_if_needed

    names: list[str] = []

    def upload(working_dir: str, excludes: list[str], is_file: bool = False) -> None:
        with tempfile.TemporaryDirectory() as folder:
            sent = Path(working_dir) if is_file else Path(folder) / "sent.zip"
            if not is_file:
                create_package(working_dir, sent, include_gitignore=True, excludes=excludes)
            with zipfile.ZipFile(sent) as opened:
                names.extend(opened.namelist())

    upload_working_dir_if_needed(dict(runtime_env), include_gitignore=True, upload_fn=upload)
    return sorted(names)


@dataclass
class FakeCluster:
    """Ray's Jobs interface as far as it is used; jobs run until told otherwise."""

    jobs: dict[str, FakeJob] = field(default_factory=dict)
    entrypoints: list[str] = field(default_factory=list)
    environments: list[dict[str, Any]] = field(default_factory=list)
    arrived: list[list[str]] = field(default_factory=list)
    """The files in each job's folder there."""

    def submit_job(
        self,
        *,
        entrypoint: str,
        submission_id: str,
        runtime_env: dict[str, Any],
        metadata: dict[str, str],
    ) -> str:
        if submission_id in self.jobs:
            raise RuntimeError(f"Request failed with status code 500: {submission_id} exists")
        self.entrypoints.append(entrypoint)
        self.environments.append(runtime_env)
        self.arrived.append(files_that_ray_sends(runtime_env))
        self.jobs[submission_id] = FakeJob(submission_id=submission_id, metadata=metadata)
        return submission_id

    def list_jobs(self) -> list[FakeJob]:
        return [*self.jobs.values()]

    def get_job_info(self, job_id: str) -> FakeJob:
        if job_id not in self.jobs:
            raise RuntimeError(f"Request failed with status code 404: Job {job_id} does not exist")
        return self.jobs[job_id]

    def get_job_logs(self, job_id: str) -> str:
        return f"log of {job_id}"

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        for line in ("one\n", "two\n"):
            yield line
        self.jobs[job_id].status = "SUCCEEDED"

    def stop_job(self, job_id: str) -> bool:
        self.jobs[job_id].status = "STOPPED"
        return True


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


def bundle(tmp_path: Path, name: str = "bundle", **fields: Any) -> Bundle:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    (home / "problems.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n')
    folder = tmp_path / name
    folder.mkdir()
    given = {"generator": {"model": "org/name"}, **fields}
    return make_bundle(job_file(home, **given), folder)


def files_of(made: Bundle) -> list[str]:
    return sorted(str(f.relative_to(made.folder)) for f in made.folder.rglob("*") if f.is_file())


def test_a_job_brings_what_it_names_by_relative_paths_and_nothing_else(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "tiny").mkdir(parents=True)
    (home / "tiny" / "config.json").write_text("{}")
    (home / "mine.py").write_text("RECIPE = None")
    (home / "secret.txt").write_text("no")
    made = bundle(tmp_path, generator={"model": "tiny"}, recipe="mine.py")
    assert files_of(made) == [
        "inputs/generator.model/tiny/config.json",
        "inputs/problems.path/problems.jsonl",
        "inputs/recipe/mine.py",
        "job.yaml",
    ]
    assert [one.field for one in made.shipped] == ["problems.path", "generator.model", "recipe"]


@pytest.mark.parametrize("ignoring", [".gitignore", ".rayignore"])
def test_what_arrives_is_the_bundle_whatever_its_folders_ignore(
    tmp_path: Path, cluster: FakeCluster, ignoring: str
) -> None:
    data = tmp_path / "home" / "data"
    (data / "venv").mkdir(parents=True)
    (data / "part-1.jsonl").write_text("{}")
    (data / "venv" / "part-2.jsonl").write_text("{}")  # a name that Ray leaves out by itself
    (data / ignoring).write_text("part-1.jsonl\n")
    made = bundle(tmp_path, problems="data")
    submit(cluster, made, OUT)
    assert cluster.arrived == [files_of(made)]
    assert {"part-1.jsonl", "part-2.jsonl"} <= {Path(f).name for f in cluster.arrived[0]}


def test_the_same_bundle_is_packed_to_the_same_bytes(tmp_path: Path) -> None:
    packed = [tmp_path / "one.zip", tmp_path / "two.zip"]
    for file, name in zip(packed, ("one", "two"), strict=True):
        pack(bundle(tmp_path, name), file)
        os.utime(tmp_path / "home" / "problems.jsonl", (0, 0))
    assert packed[0].read_bytes() == packed[1].read_bytes()


def test_the_shipped_job_means_the_copies_and_is_the_same_otherwise(tmp_path: Path) -> None:
    made = bundle(tmp_path, seed=7, output={"problems_per_shard": 5})
    before, after = load_job(tmp_path / "home" / "job.yaml"), load_job(made.folder / "job.yaml")
    assert Path(after.problems.path) == made.folder / "inputs/problems.path/problems.jsonl"
    assert after.model_copy(update={"problems": before.problems}) == before


def test_absolute_paths_urls_and_hub_ids_are_the_clusters(tmp_path: Path) -> None:
    made = bundle(tmp_path, problems="/shared/p.jsonl", generator={"model": "/shared/model"})
    assert files_of(made) == ["job.yaml"]
    content = yaml.safe_load((made.folder / "job.yaml").read_text())
    assert (content["problems"]["path"], content["generator"]["model"]) == (
        "/shared/p.jsonl",
        "/shared/model",
    )


MISSING: dict[str, tuple[dict[str, Any], str]] = {
    "problems": ({"problems": "probelms.jsonl"}, r"problems.path: .*probelms.jsonl does not exist"),
    "problems in a folder": ({"problems": "./data"}, r"problems.path: .*data does not exist"),
    "a model": ({"generator": {"model": "./tiny"}}, r"generator.model: .*tiny does not exist"),
    "a model's name": ({"generator": {"model": "tiny"}}, r"generator.model: .*tiny does not"),
    "a model in a folder": (
        {"generator": {"model": "models/tiny"}},
        r"generator.model: .*models/tiny does not exist; what lies on the cluster is named by its",
    ),
    "an argument of vLLM's": (
        {"generator": {"model": "org/name", "engine_args": {"max_model_length": 4096}}},
        r"generator.engine_args: vLLM has no engine argument 'max_model_length': did you mean",
    ),
    "a tokenizer beside the job": (
        {"generator": {"model": "org/name", "engine_args": {"tokenizer": "./tok"}}},
        r"generator.engine_args.tokenizer names what lies beside .* put it on storage that the",
    ),
    "a draft model": (
        {
            "generator": {
                "model": "org/name",
                "engine_args": {"speculative_config": {"model": "models", "method": "eagle3"}},
            }
        },
        r"generator.engine_args.speculative_config.model names what lies beside the job file",
    ),
}


@pytest.mark.parametrize(("fields", "said"), MISSING.values(), ids=MISSING.keys())
def test_what_can_only_fail_there_is_not_sent(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    (tmp_path / "home" / "models").mkdir(parents=True)
    with pytest.raises(InputError, match=said):
        bundle(tmp_path, **fields)


@pytest.mark.parametrize("problems", ["openai/gsm8k", "gsm8k", "s3://bucket/p.jsonl"])
def test_names_of_the_hub_are_sent_as_they_are(tmp_path: Path, problems: str) -> None:
    assert files_of(bundle(tmp_path, problems=problems)) == ["job.yaml"]


def test_what_is_too_large_to_send_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "MAX_BYTES", 100)
    (tmp_path / "home" / "tiny").mkdir(parents=True)
    (tmp_path / "home" / "tiny" / "model.safetensors").write_bytes(bytes(200))
    with pytest.raises(InputError) as refused:
        bundle(tmp_path, generator={"model": "tiny"})
    assert "generator.model: the model" in str(refused.value)
    assert "name it by its absolute path, or take a Hub id" in str(refused.value)


def test_links_out_of_a_folder_are_refused(tmp_path: Path) -> None:
    data = tmp_path / "home" / "data"
    data.mkdir(parents=True)
    (data / "part.jsonl").write_text("{}")
    (data / "same.jsonl").symlink_to("part.jsonl")
    assert "inputs/problems.path/data/same.jsonl" in files_of(bundle(tmp_path, problems="data"))
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "id_rsa").write_text("key")
    for number, target in enumerate(("../../private", "../../private/id_rsa", "../data", "none")):
        (data / "link").symlink_to(target)
        with pytest.raises(InputError, match=r"problems.path: .*link is a link that leads to no"):
            bundle(tmp_path, f"bundle-{number}", problems="data")
        (data / "link").unlink()


def test_a_token_travels_as_a_file_for_its_owner_and_nowhere_else(
    tmp_path: Path, cluster: FakeCluster
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "b").mkdir()
    file = job_file(home, problems="/shared/p.jsonl", generator={"model": "org/name"})
    made = make_bundle(file, tmp_path / "b", hf_token="hf_secret")
    assert (made.folder / TOKEN_FILE).stat().st_mode & 0o077 == 0
    (tmp_path / "c").mkdir()
    assert make_bundle(file, tmp_path / "c").digest == made.digest
    submit(cluster, made, OUT)
    [environment], [job] = cluster.environments, cluster.jobs.values()
    assert environment["env_vars"]["HF_TOKEN_PATH"] == TOKEN_FILE
    assert "hf_secret" not in repr((environment, job, cluster.entrypoints))


def test_the_clusters_own_python_runs_the_job(tmp_path: Path, cluster: FakeCluster) -> None:
    made = bundle(tmp_path)
    submit(cluster, made, "/shared/my runs")
    submit(cluster, made, "/b", python="/opt/venv/bin/python -X dev", allow_code=True)
    assert cluster.entrypoints == [
        "python -m factory.cli label job.yaml --out '/shared/my runs'",
        "/opt/venv/bin/python -X dev -m factory.cli label job.yaml --out /b --allow-code",
    ]
    assert "pip" not in cluster.environments[0]


def test_submitting_a_running_job_again_starts_nothing(
    tmp_path: Path, cluster: FakeCluster
) -> None:
    first = submit(cluster, bundle(tmp_path), OUT)
    again = submit(cluster, bundle(tmp_path, "again"), OUT)
    assert first.is_new
    assert (again.job_id, again.is_new) == (first.job_id, False)
    assert len(cluster.jobs) == 1


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "STOPPED"])
def test_a_job_that_has_ended_goes_on_under_the_next_id(
    tmp_path: Path, cluster: FakeCluster, status: str
) -> None:
    first = submit(cluster, bundle(tmp_path), OUT)
    cluster.jobs[first.job_id].status = status
    again = submit(cluster, bundle(tmp_path, "again"), OUT)
    assert again.is_new
    assert (first.job_id[-2:], again.job_id[-2:]) == ("-1", "-2")
    assert first.job_id[:-2] == again.job_id[:-2]


def test_two_jobs_never_write_into_one_folder(tmp_path: Path, cluster: FakeCluster) -> None:
    first = submit(cluster, bundle(tmp_path), OUT)
    with pytest.raises(InputError, match=rf"job {first.job_id} is writing into {OUT}: wait"):
        submit(cluster, bundle(tmp_path, "other", seed=9), OUT)
    assert submit(cluster, bundle(tmp_path, "elsewhere", seed=9), "/shared/runs/b").is_new


def test_of_two_that_start_the_same_at_once_one_is_refused(
    tmp_path: Path, cluster: FakeCluster
) -> None:
    class Late(FakeCluster):
        def list_jobs(self) -> list[FakeJob]:
            return []  # as it was before the other one began

    made = bundle(tmp_path)
    submit(cluster, made, OUT)
    with pytest.raises(InputError, match=r"refused: .* exists"):
        submit(Late(jobs=cluster.jobs), made, OUT)


@pytest.mark.parametrize("out", ["runs/a", "./a", "~/a", ""])
def test_a_folder_that_would_differ_by_node_is_refused(out: str) -> None:
    with pytest.raises(InputError, match=r"a folder all nodes share, by its absolute path"):
        check_out(out)


@pytest.mark.parametrize("out", ["memory://runs/a", "file://runs/a", "local://a"])
def test_a_url_that_differs_by_node_is_refused(out: str) -> None:
    with pytest.raises(InputError, match=r"a folder all nodes share, by its absolute path"):
        check_out(out)


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("ftp://user:{}@host/out", "hunter2secret"),
        ("ftp://user:{}@host/out", "hf_" + "a1B2" * 9),
        ("https://host/out?token={}", "hunter2secret"),
    ],
)
@pytest.mark.parametrize("command", ["submit", "label"])
def test_a_secret_in_the_folders_address_reaches_no_dashboard_and_no_log(
    tmp_path: Path, run: Any, command: str, address: str, secret: str
) -> None:
    out = address.format(secret)
    code, printed, err = run(command, job_file(tmp_path), "--out", out)
    assert (code, err.count("\n")) == (2, 1)
    assert "set it in the environment" in err
    assert secret not in printed + err


@pytest.mark.parametrize(
    "out", ["sftp://host/out", "hdfs://host/out", "simplecache::s3://bucket/a"]
)
@pytest.mark.parametrize("command", ["submit", "label"])
def test_a_store_that_shows_half_files_is_none_to_write_to(
    tmp_path: Path, run: Any, command: str, out: str
) -> None:
    code, _, err = run(command, job_file(tmp_path), "--out", out)
    assert (code, err.count("\n")) == (2, 1)
    assert "a killed job would leave half of it there: give a folder, or the URL of a bucket" in err


@pytest.mark.parametrize(
    "out", ["s3://bucket/runs/a", "gs://bucket/a", "abfs://box/a", "file:///shared/runs/a"]
)
def test_a_bucket_is_a_folder_too(out: str) -> None:
    check_out(out)


def test_an_unknown_id_is_answered_with_the_known_ones(
    tmp_path: Path, cluster: FakeCluster
) -> None:
    sent = submit(cluster, bundle(tmp_path), OUT)
    with pytest.raises(InputError, match=rf"no job 'x': it knows {sent.job_id}"):
        state_of(cluster, "x")
    for asking in (logs_of, stop):
        with pytest.raises(InputError, match=r"knows no job 'x'"):
            asking(cluster, "x")


def test_jobs_of_others_are_not_ours(tmp_path: Path, cluster: FakeCluster) -> None:
    cluster.jobs["other"] = FakeJob(submission_id="other", metadata={})
    sent = submit(cluster, bundle(tmp_path), OUT)
    assert [(s.job_id, s.out, s.status) for s in states(cluster)] == [(sent.job_id, OUT, "RUNNING")]


def test_following_hands_on_the_log_and_ends_with_the_job(
    tmp_path: Path, cluster: FakeCluster
) -> None:
    sent = submit(cluster, bundle(tmp_path), OUT)
    printed: list[str] = []
    assert follow(cluster, sent.job_id, printed.append).status == "SUCCEEDED"
    assert printed == ["one\n", "two\n"]


def test_a_log_that_a_proxy_cuts_is_taken_up_where_it_ended(
    tmp_path: Path, cluster: FakeCluster
) -> None:
    sent = submit(cluster, bundle(tmp_path), OUT)
    tails = [["one\n"], ["one\ntwo\n", "thr"], [], ["one\n", "two\nthree\n"]]

    async def cut(job_id: str) -> AsyncIterator[str]:
        for text in tails.pop(0):
            yield text
        if not tails:
            cluster.jobs[job_id].status = "SUCCEEDED"
        elif len(tails) == 1:
            raise RuntimeError("WebSocket connection closed unexpectedly with close code 1006")

    cluster.tail_job_logs = cut  # type: ignore[method-assign]
    printed: list[str] = []
    state = follow(cluster, sent.job_id, printed.append, sleep=lambda seconds: None)
    assert (state.status, "".join(printed)) == ("SUCCEEDED", "one\ntwo\nthree\n")


async def no_tail(job_id: str) -> AsyncIterator[str]:
    for text in ():
        yield text


def test_a_log_that_is_always_cut_is_left_at_last(tmp_path: Path, cluster: FakeCluster) -> None:
    sent = submit(cluster, bundle(tmp_path), OUT)
    cluster.tail_job_logs = no_tail  # type: ignore[method-assign]
    pauses: list[float] = []
    assert follow(cluster, sent.job_id, print, sleep=pauses.append).status == "RUNNING"
    assert 1 < len(pauses) < 100


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        ("SUCCEEDED", 0, ""),
        ("FAILED", 1, "it runs"),
        ("STOPPED", 1, "submit it again to go on"),
        ("RUNNING", 1, "the log was cut, the job goes on: prm-factory logs"),
    ],
)
def test_following_leaves_with_0_only_when_the_job_succeeded(
    tmp_path: Path,
    cluster: FakeCluster,
    status: str,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("factory.submission.jobs.MAX_SILENT_TAILS", 1)
    sent = submit(cluster, bundle(tmp_path), OUT)
    cluster.jobs[sent.job_id].status = status
    cluster.tail_job_logs = no_tail  # type: ignore[method-assign]
    left = 0
    try:
        follow_job(cluster, sent.job_id)
    except typer.Exit as ended:
        left = ended.exit_code
    assert left == code
    assert said in " ".join(capsys.readouterr().err.split())


def test_stopping_waits_until_the_job_has_ended(tmp_path: Path, cluster: FakeCluster) -> None:
    sent = submit(cluster, bundle(tmp_path), OUT)
    assert stop(cluster, sent.job_id).status == "STOPPED"
    assert stop(cluster, sent.job_id).status == "STOPPED", "what has ended is left alone"


def test_a_job_has_time_to_end_in_order_and_is_waited_for_longer(
    tmp_path: Path, cluster: FakeCluster
) -> None:
    submit(cluster, bundle(tmp_path), OUT)
    [environment] = cluster.environments
    assert 40 < int(environment["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"]) < STOP_TIMEOUT_S - 10


def test_a_job_that_does_not_end_is_said_so(tmp_path: Path, cluster: FakeCluster) -> None:
    sent = submit(cluster, bundle(tmp_path), OUT)
    cluster.stop_job = lambda job_id: True  # type: ignore[method-assign]
    with pytest.raises(InputError, match=r"has not ended in 3 s"):
        stop(cluster, sent.job_id, timeout_s=3, sleep=lambda seconds: None)


def test_nothing_at_the_address_is_one_line() -> None:
    with pytest.raises(InputError, match=r"no Ray dashboard answers at http://127.0.0.1:9: give"):
        connect("http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"--address ray://head:10001: give the dashboard's"):
        connect("ray://head:10001")


def test_a_machine_without_rays_client_is_told_what_to_install() -> None:
    hides_it = "import sys; sys.modules['aiohttp'] = None; from factory.cli import main; main()"
    command = [sys.executable, "-c", hides_it, "status", "--address", "http://127.0.0.1:9"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1
    assert 'pip install "prm-factory[cluster]"' in told.stderr


class _NoRay(BaseHTTPRequestHandler):
    """Answers JSON to everything; as a dashboard behind a proxy that knows no WebSockets, too."""

    answers: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        body = json.dumps(self.answers.get(self.path, {"hello": 1})).encode()
        self.send_response(502 if self.path.endswith("/tail") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _BehindProxy(_NoRay):
    answers: ClassVar[dict[str, Any]] = {
        "/api/version": {"version": "4", "ray_version": "99.0.0", "ray_commit": "x"},
        "/api/jobs/x": {
            "type": "SUBMISSION",
            "submission_id": "x",
            "status": "RUNNING",
            "entrypoint": "x",
            "metadata": {},
        },
    }


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_json_from_something_else_than_ray_is_one_line(run: Any) -> None:
    with serving(_NoRay) as address:
        code, _, err = run("status", "--address", address)
    assert (code, err.count("\n")) == (2, 1)
    assert f"what answers at {address} is no Ray dashboard (KeyError: 'ray_version')" in err


def test_a_log_that_cannot_be_followed_through_a_proxy_is_one_line(run: Any) -> None:
    with serving(_BehindProxy) as address:
        code, _, err = run("logs", "x", "--follow", "--address", address)
    assert (code, err.count("\n")) == (2, 1)
    assert "the log cannot be followed (502" in err
    assert "'prm-factory logs ID' without --follow" in err


COMMANDS = {
    "a folder of one machine": (["--out", "runs/a"], {}, "--out runs/a: on a cluster that is"),
    "code without the flag": (["--out", OUT], {"recipe": "mine.py"}, "add --allow-code"),
    "nobody there": (["--out", OUT], {}, "no Ray dashboard answers at http://127.0.0.1:9"),
    "too little said": (["--out", OUT], {"seed": -1}, "job.yaml:"),
}


@pytest.mark.parametrize(("options", "fields", "message"), COMMANDS.values(), ids=COMMANDS.keys())
def test_what_cannot_be_sent_is_one_line(
    tmp_path: Path, run: Any, options: list[str], fields: dict[str, Any], message: str
) -> None:
    (tmp_path / "problems.jsonl").write_text("{}")
    (tmp_path / "mine.py").touch()
    file = job_file(tmp_path, **fields)
    code, _, err = run("submit", file, *options, "--address", "http://127.0.0.1:9")
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_asking_nobody_is_one_line(run: Any) -> None:
    for command in (["status"], ["status", "x"], ["logs", "x"], ["stop", "x"]):
        code, _, err = run(*command, "--address", "http://127.0.0.1:9")
        assert (code, err.count("\n")) == (2, 1)
        assert "no Ray dashboard answers" in err
