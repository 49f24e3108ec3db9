"""Commands that send a job to a Ray cluster and look after it there."""

import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from factory.cli.app import AllowCode, app, out, print_error
from factory.errors import InputError

Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        envvar="RAY_DASHBOARD_ADDRESS",
        help="The cluster's dashboard: http://head:8265. By default this machine's.",
    ),
]
JobId = Annotated[str, typer.Argument(help="The id that submit printed.")]


@app.command()
def submit(
    job: Annotated[Path, typer.Argument(help="The job file (YAML).")],
    out_folder: Annotated[
        str,
        typer.Option(
            "--out", "-o", help="On the cluster: an absolute path all nodes share, a URL."
        ),
    ],
    address: Address = None,
    follow: Annotated[bool, typer.Option("--follow", help="Print its log until it ends.")] = False,
    python: Annotated[str, typer.Option(help="The interpreter of the cluster's image.")] = "python",
    send_hf_token: Annotated[
        bool,
        typer.Option(
            "--send-hf-token", help="Send HF_TOKEN along as a file; better: set it on the nodes."
        ),
    ] = False,
    allow_code: AllowCode = False,
) -> None:
    """Run a job on a Ray cluster, with the files it names by relative paths."""
    from factory.job_file import load_job
    from factory.submission.bundle import make_bundle
    from factory.submission.client import connect
    from factory.submission.jobs import check_out
    from factory.submission.jobs import submit as run
    from factory.trust import check_code

    check_out(out_folder)
    check_code(load_job(job), allow_code=allow_code)
    token = _token() if send_hf_token else None
    with tempfile.TemporaryDirectory(prefix="submit-") as folder:
        bundle = make_bundle(job, Path(folder), hf_token=token)
        client = connect(address)
        sent = run(client, bundle, out_folder, python=python, allow_code=allow_code)
    if not sent.is_new:
        out.print(f"{sent.job_id} is running already: nothing was started", highlight=False)
    else:
        for one in bundle.shipped:
            out.print(f"sent {one.field}: {one.source.name}", highlight=False, markup=False)
        out.print(f"started {sent.job_id}", highlight=False)
    if follow:
        follow_job(client, sent.job_id)
    else:
        out.print(f"follow it by: prm-factory logs {sent.job_id} --follow", highlight=False)


def _token() -> str:
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        raise InputError("--send-hf-token: there is none here: set HF_TOKEN, or leave the flag out")
    return token


@app.command()
def status(
    job_id: Annotated[str | None, typer.Argument(help="One job; by default all of ours.")] = None,
    address: Address = None,
) -> None:
    """What became of submitted jobs."""
    from factory.submission.client import connect
    from factory.submission.jobs import state_of, states

    client = connect(address)
    found = [state_of(client, job_id)] if job_id else states(client)
    if not found:
        out.print("the cluster knows no job of ours")
    table = Table.grid(padding=(0, 2))
    for state in found:
        table.add_row(state.job_id, state.status, _times(state), Text(state.out))
    out.print(table, highlight=False)
    if job_id and found[0].message:
        out.print(found[0].message, highlight=False, markup=False, soft_wrap=True)


def _times(state: Any) -> str:
    if state.started_s is None:
        return ""
    started = datetime.fromtimestamp(state.started_s).strftime("%Y-%m-%d %H:%M")
    if state.ended_s is None:
        return f"since {started}"
    return f"{started}, {state.ended_s - state.started_s:,.0f} s"


@app.command()
def logs(
    job_id: JobId,
    address: Address = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job ends.")] = False,
) -> None:
    """Print what a submitted job prints."""
    from factory.submission.client import connect
    from factory.submission.jobs import logs_of

    client = connect(address)
    if follow:
        follow_job(client, job_id)
    else:
        out.print(logs_of(client, job_id), highlight=False, markup=False, soft_wrap=True)


@app.command()
def stop(job_id: JobId, address: Address = None) -> None:
    """End a submitted job; what it has stored stays, and submitting it again goes on."""
    from factory.submission.client import connect
    from factory.submission.jobs import stop as run

    state = run(connect(address), job_id)
    out.print(f"{job_id} {state.status}", highlight=False)


def follow_job(client: Any, job_id: str) -> None:
    """Leaves with 1 unless the job succeeded. Ctrl-C ends the looking, not the job."""
    from factory.submission.jobs import follow as run

    def write(text: str) -> None:
        out.print(text, end="", highlight=False, markup=False, soft_wrap=True)

    try:
        state = run(client, job_id, write)
    except KeyboardInterrupt:
        out.print(f"{os.linesep}{job_id} goes on: prm-factory logs {job_id} --follow")
        raise typer.Exit(1) from None
    out.print(f"{job_id} {state.status}", highlight=False)
    if state.status == "SUCCEEDED":
        return
    if not state.is_over:
        print_error(f"the log was cut, the job goes on: prm-factory logs {job_id} --follow")
    elif state.status == "STOPPED":
        print_error("somebody stopped the job: submit it again to go on")
    else:
        print_error(state.message)
    raise typer.Exit(1)
