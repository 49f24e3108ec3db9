"""The command line: bad input leaves with code 2, one line on stderr, and nothing written."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from factory.cli import main
from factory.cli.app import print_error
from factory.cli.commands import _is_gone
from tests.factory.builders import group, job_file, job_folder, store

ROOT = Path(__file__).parents[2]
ROW = {"question": "3 + 4 = ?", "answer": "7"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs a command as the console script does: exit code, stdout, stderr."""

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["prm-factory", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        captured = capfd.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return command


def test_an_error_is_told_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("ftp://user:hunter2secret@host/out\ncannot be reached")
    assert capsys.readouterr().err == "error: ftp://***@host/out cannot be reached\n"


def labelling(folder: Path, second_line: Any, **fields: Any) -> Path:
    """A job over two problems, the second of which is this line."""
    line = second_line if isinstance(second_line, str) else json.dumps(second_line)
    (folder / "problems.jsonl").write_text(f"{json.dumps(ROW)}\n{line}\n")
    return job_file(folder, **fields)


BAD_JOBS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "malformed JSON": ("{oops", {}, "problems.jsonl:2: not a JSON line"),
    "a missing column": ({"question": "q"}, {}, "problems.jsonl:2: no column 'answer'"),
    "an empty question": ({**ROW, "question": ""}, {}, "problems.jsonl:2: question is empty"),
    "an empty answer": ({**ROW, "answer": ""}, {}, "problems.jsonl:2: answer is empty"),
    "an unparsable answer": (
        {"question": "q", "answer": "\\frac{1}{"},
        {},
        "problems.jsonl:2: answer '\\\\frac{1}{' cannot be compared",
    ),
    "a problem twice": (ROW, {}, "problems.jsonl:2: the same question stands at"),
    "no steps": ({"question": "q", "answer": "1", "solutions": [""]}, {}, "has no steps"),
    "a question too long": (
        {"question": "x" * 9_999, "answer": "1"},
        {},
        "problems.jsonl:2: question of",
    ),
    "no problems file": ("", {"problems": "none.jsonl"}, "none.jsonl does not exist"),
    "no model folder": (
        "",
        {"generator": {"model": "./none"}},
        "generator.model: folder ./none does not exist",
    ),
    "an argument vLLM lacks": (
        "",
        {"generator": {"model": "org/name", "engine_args": {"max_model_length": 9}}},
        "generator.engine_args: vLLM has no engine argument 'max_model_length': did you mean",
    ),
    "an unknown recipe": (
        "",
        {"recipe": "zebra"},
        "unknown recipe 'zebra': known are adaptive, genprm, genprm-labels, math-shepherd",
    ),
    "a recipe file that is missing": ("", {"recipe": "my.py"}, "recipe file my.py does not exist"),
    "solutions for some": (
        {"question": "q", "answer": "1", "solutions": ["so\n\n1"]},
        {},
        "1 of 2 problems come with solutions",
    ),
    "an unknown field": ("", {"sede": 1}, "unknown field sede: did you mean 'seed'?"),
}


@pytest.mark.parametrize(("line", "fields", "message"), BAD_JOBS.values(), ids=BAD_JOBS)
def test_a_bad_job_leaves_with_one_line_and_nothing_written(
    tmp_path: Path, run: Any, line: Any, fields: dict[str, Any], message: str
) -> None:
    job = labelling(tmp_path, line, **fields)
    before = set(tmp_path.iterdir())
    code, out, err = run("label", job, "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


def test_the_console_script_says_the_same(tmp_path: Path) -> None:
    job = labelling(tmp_path, "{oops")
    command = [sys.executable, "-m", "factory.cli", "label", str(job), "--out", "out"]
    left = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (left.returncode, left.stdout) == (2, "")
    assert left.stderr.startswith(f"error: {tmp_path}/problems.jsonl:2: not a JSON line: ")
    assert left.stderr.count("\n") == 1
    assert {f.name for f in tmp_path.iterdir()} == {"job.yaml", "problems.jsonl"}


def test_a_folder_of_another_job_is_refused_and_left_alone(tmp_path: Path, run: Any) -> None:
    folder = job_folder(tmp_path / "out")
    before = {f: f.stat().st_mtime_ns for f in folder.rglob("*")}
    code, _, err = run("label", labelling(tmp_path, ""), "--out", folder)
    assert code == 2
    assert "was made under digest " in err
    assert ", this job has " in err
    assert {f: f.stat().st_mtime_ns for f in folder.rglob("*")} == before


def test_a_missing_job_file_is_one_line(tmp_path: Path, run: Any) -> None:
    expected = f"error: cannot read job file {tmp_path}/no.yaml: No such file or directory\n"
    assert run("label", tmp_path / "no.yaml", "--out", tmp_path / "out") == (2, "", expected)


def test_markup_in_a_message_is_printed_as_it_is(tmp_path: Path, run: Any) -> None:
    code, _, err = run("show", tmp_path / "[red]none[/]")
    assert code == 2
    assert "[red]none[/] does not exist" in err


def test_relabel_and_show_print_a_summary(tmp_path: Path, run: Any) -> None:
    job = job_folder(tmp_path / "job")
    code, out, err = run("relabel", job, "--recipe", "genprm", "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "recipe     genprm on math-shepherd" in out
    code, out, err = run("show", tmp_path / "out", "-n", 1)
    assert (code, err) == (0, "")
    assert out.count("reference 72") == 1
    assert run("show", tmp_path / "out", "-n", -1)[0] == 2
    assert run("relabel", tmp_path, "--recipe", "genprm", "--out", tmp_path / "x")[0] == 2


def test_relabelling_an_unfinished_job_says_so(tmp_path: Path, run: Any) -> None:
    job = job_folder(tmp_path / "job")
    store(job / "stages" / "problems" / "slice-00000.parquet", [group("p"), group("q")])
    code, _, err = run("relabel", job, "--recipe", "genprm", "--out", tmp_path / "out")
    assert code == 0
    assert err == f"note: the job in {job} is not finished: 1 of 2 problems are published\n"


def test_recipes_are_listed_with_what_they_do(run: Any) -> None:
    code, out, err = run("recipes")
    assert (code, err) == (0, "")
    names = [line.split()[0] for line in out.splitlines() if not line.startswith(" ")]
    assert {"genprm", "math-shepherd"} <= {*names}
    assert max(map(len, out.splitlines())) <= 80


def test_an_output_folder_that_cannot_be_made_is_one_line(tmp_path: Path, run: Any) -> None:
    job = job_folder(tmp_path / "job")
    (tmp_path / "file").touch()
    code, out, err = run("relabel", job, "-r", "genprm", "-o", tmp_path / "file" / "out")
    assert (code, out) == (1, "")
    assert "Not a directory: free or choose another place" in err
    assert err.count("\n") == 1


def test_an_output_folder_in_a_file_system_that_takes_none_is_one_line(
    tmp_path: Path, run: Any
) -> None:
    job = job_folder(tmp_path / "job")
    code, out, err = run("relabel", job, "-r", "genprm", "-o", "/proc/x/out")
    assert (code, out) == (1, "")
    assert err.startswith("error: /proc/x/out: No folder can be made here: free or choose another")
    assert err.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_forbidden_output_folder_is_one_line(tmp_path: Path, run: Any) -> None:
    job = job_folder(tmp_path / "job")
    (tmp_path / "closed").mkdir(mode=0o500)
    code, _, err = run("relabel", job, "-r", "genprm", "-o", tmp_path / "closed" / "out")
    assert code == 1
    assert "Permission denied" in err


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.py"
    recipe.write_text(
        "from dataclasses import dataclass\n"
        "from factory.core.recipe import Recipe\n"
        "@dataclass(frozen=True)\n"
        "class Broken:\n"
        "    def __call__(self, chain): raise KeyError('a bug')\n"
        "RECIPE = Recipe(name='mine', summary='broken', labeler=Broken())\n"
    )
    job = job_folder(tmp_path / "job")
    command = [sys.executable, "-m", "factory.cli", "relabel", str(job), "-r", str(recipe)]
    command += ["-o", str(tmp_path / "out")]
    left = subprocess.run(command, capture_output=True, text=True, check=False)
    assert left.returncode == 1
    assert "Traceback" in left.stderr
    assert "KeyError: 'a bug'" in left.stderr
    assert not (tmp_path / "out" / "dataset").exists()


@pytest.mark.parametrize("place", ["{}", "exec({!r})"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_commands_are_still_imported_leaves_in_order(
    tmp_path: Path, number: signal.Signals, code: int, place: str
) -> None:
    """A module that sends it stands for typer, the first of the large ones to be imported."""
    sending = f"import os, time; os.kill(os.getpid(), {int(number)}); time.sleep(20)"
    (tmp_path / "typer.py").write_text(place.format(sending))
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    command = [sys.executable, "-m", "factory.cli", "recipes"]
    left = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (left.returncode, left.stdout, left.stderr) == (code, "", "")


def test_sigterm_before_the_job_begins_says_how_to_go_on(tmp_path: Path, run: Any) -> None:
    (tmp_path / "mine.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n")
    code, _, err = run("relabel", tmp_path, "-r", tmp_path / "mine.py", "-o", tmp_path / "out")
    assert code == 143
    assert err == "stopped; what is done is kept: run the same command again to go on\n"


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, run: Any) -> None:
    (tmp_path / "mine.py").write_text("raise KeyboardInterrupt")
    code, _, err = run(
        "label", labelling(tmp_path, "", recipe="mine.py"), "-o", tmp_path / "out", "--allow-code"
    )
    assert code == 130
    assert err == "stopped; what is done is kept: run the same command again to go on\n"


@pytest.mark.parametrize(
    ("folder", "is_gone"),
    [
        (ROOT / "runs" / "math", True),
        (ROOT / "factory-runs", True),
        (ROOT / "factory" / "recipes", False),
        (ROOT / "workers", False),
        (Path(json.__file__).parent, False),
        (Path(pytest.__file__).parent, False),
    ],
)
def test_a_file_that_is_gone_is_the_persons_but_for_those_of_programs(
    folder: Path, is_gone: bool
) -> None:
    error = FileNotFoundError(errno.ENOENT, "No such file", str(folder / "x.parquet"))
    assert _is_gone(error) == is_gone
