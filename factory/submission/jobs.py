"""Sends jobs and asks after them; a client of Ray's Jobs interface is all it knows of clusters."""

import asyncio
import shlex
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory import places
from factory.errors import InputError, shortened
from factory.submission.bundle import JOB_FILE, TOKEN_FILE, Bundle, pack
from factory.submission.client import Client, answering
from factory.trust import FLAG
from schemas.ids import digest_of

PYTHON = "python"
"""The cluster's, from the PATH its nodes were started with: never the one this runs on."""
OUT = "prm_factory_out"
BUNDLE = "prm_factory_bundle"
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
STOP_WAIT_S = 45
"""Ray kills a job so long after it has told it to end. Its own three seconds are too few for the
last counts, for workers to go and for leaving the cluster."""
STOP_TIMEOUT_S = 60.0
MAX_ATTEMPTS = 1_000
MAX_SILENT_TAILS = 20
TAIL_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """Where a job is now."""

    job_id: str
    is_new: bool
    """False where the same job was running already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """What the cluster says of a job."""

    job_id: str
    status: str
    message: str
    out: str
    started_s: float | None
    """Unix time."""
    ended_s: float | None

    @property
    def is_over(self) -> bool:
        return self.status in ENDED


def check_out(out: str) -> None:
    """Raises InputError for a folder that would mean another one on each node, and for what is no
    place to write to anywhere."""
    places.check_out(out)
    scheme, _, rest = out.rpartition("://")
    if scheme == "memory" or (scheme in ("file", "local") and not rest.startswith("/")):
        raise InputError(
            f"--out {out}: on a cluster that is another place in every process: give a folder all "
            "nodes share, by its absolute path, or the URL of a bucket"
        )
    if "://" not in out and not out.startswith("/"):
        raise InputError(
            f"--out {out}: on a cluster that is a folder all nodes share, by its absolute path, "
            "or a URL"
        )


def submit(
    client: Client, bundle: Bundle, out: str, *, python: str = PYTHON, allow_code: bool = False
) -> Submitted:
    """Starts the job, or finds it running: the id follows from the bundle and the folder.

    A job that has ended is started again under the next id, and goes on with what its folder
    holds. Raises InputError while another job writes into the folder.
    """
    check_out(out)
    base = f"prm-{digest_of([bundle.digest, out, python, allow_code])}"
    known = {state.job_id: state for state in _ours(client)}
    for state in known.values():
        if state.out == out and not state.is_over:
            if _base(state.job_id) == base:
                return Submitted(job_id=state.job_id, is_new=False)
            raise InputError(
                f"job {state.job_id} is writing into {out}: wait for it, end it by "
                f"'prm-factory stop {state.job_id}', or choose another --out"
            )
    attempts = (f"{base}-{n}" for n in range(1, MAX_ATTEMPTS))
    job_id = next(name for name in attempts if name not in known)
    # The cluster refuses a second job of an id: of two that start the same at once, one wins.
    with answering(), tempfile.TemporaryDirectory(prefix="submit-") as folder:
        archive = Path(folder) / "bundle.zip"
        pack(bundle, archive)
        client.submit_job(
            entrypoint=_entrypoint(out, python, allow_code),
            submission_id=job_id,
            runtime_env=_runtime_env(bundle, archive),
            metadata={OUT: out, BUNDLE: bundle.digest},
        )
    return Submitted(job_id=job_id, is_new=True)


def _base(job_id: str) -> str:
    return job_id.rpartition("-")[0]


def _entrypoint(out: str, python: str, allow_code: bool) -> str:
    words = [*shlex.split(python), "-m", "factory.cli", "label", JOB_FILE, "--out", out]
    return shlex.join([*words, *([FLAG] if allow_code else [])])


def _runtime_env(bundle: Bundle, archive: Path) -> dict[str, Any]:
    """No packages: the image has them. No secrets: everyone who sees the dashboard sees these."""
    variables = {"PYTHONUNBUFFERED": "1", "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S)}
    if (bundle.folder / TOKEN_FILE).exists():
        variables["HF_TOKEN_PATH"] = TOKEN_FILE
    return {"working_dir": str(archive), "env_vars": variables}


def states(client: Client) -> list[JobState]:
    """Our jobs that the cluster remembers, newest first."""
    return sorted(_ours(client), key=lambda state: state.started_s or 0.0, reverse=True)


def _ours(client: Client) -> list[JobState]:
    with answering():
        jobs = client.list_jobs()
    return [_state(job) for job in jobs if job.submission_id and OUT in (job.metadata or {})]


def _state(job: Any) -> JobState:
    status = getattr(job.status, "value", job.status)
    return JobState(
        job_id=job.submission_id or job.job_id,
        status=str(status),
        message=shortened(job.message or "", 400),
        out=(job.metadata or {}).get(OUT, ""),
        started_s=None if job.start_time is None else job.start_time / 1000,
        ended_s=None if job.end_time is None else job.end_time / 1000,
    )


def state_of(client: Client, job_id: str) -> JobState:
    """Raises InputError for an id the cluster does not know."""
    try:
        with answering():
            return _state(client.get_job_info(job_id))
    except InputError as error:
        if "404" not in str(error) and "does not exist" not in str(error):
            raise
        known = ", ".join(state.job_id for state in states(client)[:5]) or "none of ours"
        raise InputError(f"the cluster knows no job {job_id!r}: it knows {known}") from error


def logs_of(client: Client, job_id: str) -> str:
    """What the job has printed. Raises InputError for an unknown one."""
    state_of(client, job_id)
    with answering():
        return client.get_job_logs(job_id)


def follow(
    client: Client,
    job_id: str,
    write: Callable[[str], object],
    *,
    sleep: Callable[[float], object] = time.sleep,
) -> JobState:
    """Hands on what the job prints until it ends; leaving early leaves the job running.

    A log that is cut, as by a proxy that ends long connections, is taken up again; after
    `MAX_SILENT_TAILS` in a row that brought nothing new the state of a job that still runs is
    returned.
    """
    state_of(client, job_id)
    num_chars = num_silent = 0
    while True:
        before, num_chars = num_chars, _tail(client, job_id, write, num_chars)
        num_silent = 0 if num_chars > before else num_silent + 1
        state = state_of(client, job_id)
        if state.is_over or num_silent == MAX_SILENT_TAILS:
            return state
        sleep(TAIL_PAUSE_S)


def _tail(client: Client, job_id: str, write: Callable[[str], object], skip: int) -> int:
    """Hands on the log behind its first characters until it is cut or the job ends, and returns
    how many have been handed on by now. The cluster begins with the first line every time."""
    num_read = 0

    async def read() -> None:
        nonlocal num_read
        async for text in client.tail_job_logs(job_id):
            if new := text[max(0, skip - num_read) :]:
                write(new)
            num_read += len(text)

    with answering():
        try:
            asyncio.run(read())
        except RuntimeError as error:
            if "WebSocket" not in str(error):  # what the client says of a lost connection
                raise
    return max(num_read, skip)


def stop(
    client: Client,
    job_id: str,
    *,
    timeout_s: float = STOP_TIMEOUT_S,
    sleep: Callable[[float], object] = time.sleep,
) -> JobState:
    """Asks the job to end and waits until it has; what it has stored stays.

    Raises InputError when the job is unknown, or has not ended in time.
    """
    state = state_of(client, job_id)
    if state.is_over:
        return state
    with answering():
        client.stop_job(job_id)
    for _ in range(max(1, int(timeout_s))):
        state = state_of(client, job_id)
        if state.is_over:
            return state
        sleep(1.0)
    raise InputError(f"job {job_id} has not ended in {timeout_s:g} s: look at it again by 'status'")
