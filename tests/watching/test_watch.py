"""`prm-factory watch` shows all that is known, and says what to do where that is needed."""

import json
import sys
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from factory.cli import main
from factory.report.stage_lines import cost, headline, pace
from factory.report.watch import follow, view
from factory.watching.status import JobStatus, State
from factory.watching.status_file import write_status
from tests.watching.builders import job, stage
from workers.counting import ProgramCounts
from workers.engine import EngineLoad, EngineStats
from workers.tally import FailedGroup

BUSY = stage(
    num_groups=2000,
    num_stored=50,
    num_ok=480,
    num_dropped=18,
    num_failed=2,
    num_engines=3,
    num_engines_asked=4,
    num_engine_deaths=1,
    num_workers_replaced=2,
    tokens_per_s=6338.2,
    rollouts_per_s=120.0,
    left_s=11_100.0,
    gpu_s=3600.0,
    engine_s=3600.0,
    projected_gpu_s=14_400.0,
    projected_tokens=4_000_000.0,
    engine=EngineStats(
        num_finished=27_040,
        num_generated_tokens=1_000_000,
        num_cache_queries=1000,
        num_cache_hits=835,
        num_preemptions=3,
        load=EngineLoad(num_running=700, num_waiting=9, max_concurrency=768, kv_cache_usage=0.421),
    ),
    program=ProgramCounts(
        num_rollouts=27_000,
        num_ungraded=5,
        num_grader_timeouts=4,
        num_rounds=310,
        num_steps=900,
        num_undecided=12,
        num_code_runs=575,
        num_code_timeouts=6,
        num_code_stopped=1,
    ),
    drop_reasons={"no wrong solution sampled": 18},
    recent_failures=(FailedGroup(problem_id="9af3", reason="KeyError:\n'x'"),),
    recent_deaths=("CUDA error",),
)
SHOWN = """\
genprm 51f3c354: running for 10 min on node-3: label

label, running
problems  500 of 2,000 done, 18 dropped, 2 failed, 50 stored before, about 3 h 05 min left
work      27,000 rollouts, 120.0 rollouts/s, 6,338.2 tokens/s
engines   3 of 4 up, 700 of 768 requests running, 9 waiting, 42.1 % of KV in use
cache     83.5 % of prompt tokens found, 3 preemptions
steps     900 done in 310 rounds, 12 undecided
grader    5 rollouts without a verdict, 4 of them by the clock
sandbox   575 blocks of code, 6 timed out, 1 stopped
cost      1.00 GPU-hours, 1,000,000 tokens, projected 4.00 and 4,000,000
deaths    1 engines died, 2 workers replaced

7 shards, 5 on the Hub

label: 18 dropped: no wrong solution sampled
label: 9af3 failed: KeyError: 'x'
label: an engine died: CUDA error
"""


def shown(status: JobStatus, now: float) -> str:
    console = Console(file=StringIO(), width=100)
    console.print(view(status, now))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def test_everything_that_is_known_is_shown() -> None:
    status = job(stages=(BUSY,), num_shards_sealed=7, num_shards_pushed=5)
    assert shown(status, 1600.0) == SHOWN


def test_the_cost_of_all_runs_is_shown_once_there_were_others() -> None:
    again = replace(BUSY, state=State.DONE, engine_s_before=1800.0, gpu_s_before=1800.0)
    assert cost(again) == "1.00 GPU-hours, 1,000,000 tokens, 1.50 GPU-hours over all runs"


def test_a_stage_without_a_token_says_that_engines_start() -> None:
    assert pace(stage()) == "starting engines"
    assert pace(BUSY) == "27,040 completions, 6,338 tokens/s, 2 failed"
    assert "left" not in shown(job(stages=(stage(),)), 1600.0)


@pytest.mark.parametrize(
    ("fields", "now", "said"),
    [
        ({}, 1601.0, "running for 10 min on node-3: starting"),
        ({"doing": "publishing"}, 1601.0, "running for 10 min on node-3: publishing"),
        (
            {},
            1780.0,
            "last heard 3 min ago from node-3: run the same command again to go on",
        ),
        ({"state": State.DONE}, 9999.0, "done after 10 min"),
        (
            {"state": State.STOPPED},
            1660.0,
            "stopped 60 s ago: run the same command again to go on",
        ),
        (
            {"state": State.FAILED, "error": "OSError:\nno space"},
            1660.0,
            "failed 60 s ago: OSError: no space",
        ),
    ],
)
def test_the_headline_says_where_the_job_stands(
    fields: dict[str, object], now: float, said: str
) -> None:
    assert headline(job(**fields), now) == said


@pytest.mark.parametrize("last", [{"state": State.DONE}, {"updated": 1000.0}])
def test_watching_ends_with_the_job_or_with_its_driver(
    tmp_path: Path, last: dict[str, object]
) -> None:
    status = job(updated=1000.0)
    write_status(tmp_path, status)
    drawn: list[JobStatus] = []
    now = [1000.0]

    def wait(seconds: float) -> None:
        now[0] += 30
        write_status(tmp_path, replace(status, **last) if now[0] > 1050 else status)

    follow(tmp_path, lambda status, now: drawn.append(status), wait, lambda: now[0])
    assert len(drawn) >= 3
    assert drawn[-1] == replace(status, **last)


def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["prm-factory", "watch", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    captured = capsys.readouterr()
    return int(left.value.code or 0), captured.out, captured.err


def test_the_command_prints_once_and_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_status(tmp_path, job(started=time.time() - 300, updated=time.time() - 300))
    code, out, _ = command(monkeypatch, capsys, tmp_path, "--once")
    assert code == 0
    assert "last heard 5 min ago" in " ".join(out.split())
    code, out, _ = command(monkeypatch, capsys, tmp_path, "--json")
    assert json.loads(out)["digest"] == "51f3c354"


def test_a_folder_without_a_job_is_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = command(monkeypatch, capsys, tmp_path, "--once")
    assert code == 2
    assert "has no status.json" in err
