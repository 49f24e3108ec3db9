"""Files from one format to another: counted, atomic, and errors that name the line."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from factory.convert import Conversion, export_dataset, import_file
from factory.core.labelers import HardEstimation
from factory.core.steps import StepStyle
from factory.errors import InputError
from factory.job import OutputSection, ProblemsSection
from factory.problems import read_problems
from factory.publish import publish
from factory.recipes import load_recipe
from schemas.interchange.formats import format_named
from schemas.interchange.labelled import Loss
from schemas.records import ProblemGroup, Verdict
from tests.factory.builders import group, job_folder, manifest_of, solution

GOOD = {"prompt": "q", "completions": ["a", "b"], "labels": [True, False]}


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def dataset(folder: Path, *groups: ProblemGroup, **output: Any) -> Path:
    """A job's folder with its dataset."""
    publish(
        evidence=[(0, sorted(groups, key=lambda g: g.problem_id))],
        folder=folder / "dataset",
        manifest=manifest_of(load_recipe("math-shepherd")),
        labeler=HardEstimation(),
        output=OutputSection(**output),
    )
    return folder


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_dataset_is_exported(tmp_path: Path, suffix: str) -> None:
    job = dataset(tmp_path / "job", group("p"), group("r", solution("t", 0, verdict=Verdict.WRONG)))
    out = tmp_path / "new" / f"out{suffix}"
    done = export_dataset(job, "processbench", out)
    assert (done.num_rows, done.num_solutions, done.num_written, done.skipped) == (2, 2, 2, {})
    assert done.lost[Loss.COUNTS] == 2
    first, second = rows_of(out)
    assert first == {
        "id": "s-p", "generator": "tiny", "problem": "How many? 多少",
        "steps": [*(f"Step {n}: häppily" for n in (1, 2, 3)), "The answer is: \\boxed{72}"],
        "final_answer_correct": True, "label": 2,
    }  # fmt: skip
    assert (second["id"], second["final_answer_correct"], second["label"]) == ("t", False, 0)
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("name", ["labelled", "trl", "math-shepherd", "prm800k", "rlhflow"])
def test_exported_labels_are_the_published_ones(tmp_path: Path, name: str) -> None:
    job = dataset(tmp_path / "job", group("p", solution("s", 8, 4, verdict=Verdict.CORRECT)))
    export_dataset(job / "dataset", name, tmp_path / "out.jsonl")
    import_file(
        tmp_path / "out.jsonl",
        name,
        tmp_path / "back.parquet",
        to="trl",
        neutral="none" if name == "prm800k" else None,
    )
    (row,) = rows_of(tmp_path / "back.parquet")
    assert (row["prompt"], row["labels"]) == ("How many? 多少", [True, True, True])
    assert row["completions"][-1] == "The answer is: \\boxed{72}"


def test_a_dataset_on_disk_as_arrow_is_exported(tmp_path: Path) -> None:
    job = dataset(tmp_path / "job", group("p"), format="arrow")
    assert export_dataset(job, "trl", tmp_path / "out.jsonl").num_written == 1


def test_a_job_without_a_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has not published yet"):
        export_dataset(job_folder(tmp_path / "job"), "trl", tmp_path / "out.jsonl")


def test_given_labels_stand_beside_the_solutions_a_job_reads(tmp_path: Path) -> None:
    def rated(*steps: str, problem: str = "q") -> dict[str, Any]:
        completions = [[{"text": s, "rating": 1}] for s in steps]
        return {
            "question": {"problem": problem, "ground_truth_answer": "72"},
            "label": {
                "steps": [{"completions": c, "chosen_completion": 0} for c in completions],
                "finish_reason": "solution",
            },
        }

    source = lines(
        tmp_path / "in.jsonl", rated("a", "b"), rated("c"), rated("a", "b"), rated("d", problem="r")
    )
    out = tmp_path / "problems.jsonl"
    done = import_file(source, "prm800k", out, neutral="bad")
    assert (done.num_rows, done.num_written) == (4, 2)
    written = rows_of(out)
    assert [row["labels"] for row in written] == [[[True, True], [True]], [[True]]]
    section = ProblemsSection(path=str(out))
    read = list(read_problems(section, StepStyle.AUTO, with_labels=True))
    for problem, row in zip(read, written, strict=True):
        given = [list(solution.given_labels) for solution in problem.group.solutions]
        assert given == row["labels"]
        assert (problem.group.question, problem.group.answer) == (row["question"], "72")
        for given, steps in zip(problem.group.solutions, row["solutions"], strict=True):
            assert [step.strip() for step in given.steps] == steps


def test_what_is_left_out_and_lost_is_counted(tmp_path: Path) -> None:
    source = lines(
        tmp_path / "in.jsonl",
        {**GOOD, "extra": 1},
        {**GOOD, "prompt": "Is Step 1: ok?"},
        {**GOOD, "completions": ["a", " "]},
        {**GOOD, "completions": [" a", "b"], "extra": None},
    )
    done = import_file(source, "trl", tmp_path / "out.jsonl", to="math-shepherd")
    assert done == Conversion(
        num_rows=4,
        num_solutions=3,
        num_written=2,
        skipped={"a step without text": 1, "the question has 'Step 1:' in it": 1},
        lost={"other columns": 1, "whitespace around texts": 1},
    )
    assert done.lines() == [
        "4 rows read, 3 solutions in them, 2 rows written",
        "left out: a step without text: 1",
        "left out: the question has 'Step 1:' in it: 1",
        "lost: other columns: 1",
        "lost: whitespace around texts: 1",
    ]


def test_a_row_that_is_none_of_the_format_names_file_and_line(tmp_path: Path) -> None:
    source, out = lines(tmp_path / "in.jsonl", GOOD, {"prompt": "q"}), tmp_path / "out.jsonl"
    out.write_text("old")
    with pytest.raises(InputError, match=r"in\.jsonl:2: not a row of trl: no 'completions'"):
        import_file(source, "trl", out, to="labelled")
    assert out.read_text() == "old"
    assert {f.name for f in tmp_path.iterdir()} == {"in.jsonl", "out.jsonl"}


def test_nothing_to_write_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    source = lines(tmp_path / "in.jsonl", GOOD)
    with pytest.raises(InputError, match=r"nothing to write of 1 rows: no reference answer \(1\)"):
        import_file(source, "trl", tmp_path / "out.parquet")
    assert [f.name for f in tmp_path.iterdir()] == ["in.jsonl"]


def test_files_of_a_folder_are_read_by_name(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    lines(source / "a.jsonl", {**GOOD, "prompt": "1"})
    (source / "b.json").write_text(json.dumps([{**GOOD, "prompt": "2"}, {**GOOD, "prompt": "3"}]))
    pq.write_table(pa.Table.from_pylist([{**GOOD, "prompt": "4"}]), source / "c.parquet")
    import_file(source, "trl", tmp_path / "out.jsonl", to="trl")
    assert [row["prompt"] for row in rows_of(tmp_path / "out.jsonl")] == ["1", "2", "3", "4"]


def test_many_rows_are_all_written(tmp_path: Path) -> None:
    source = lines(tmp_path / "in.jsonl", *({**GOOD, "prompt": str(n)} for n in range(2_500)))
    import_file(source, "trl", tmp_path / "out.parquet", to="math-aps")
    assert [row["question"] for row in rows_of(tmp_path / "out.parquet")] == [
        str(n) for n in range(2_500)
    ]
    written = pq.read_schema(tmp_path / "out.parquet")
    writing = format_named("math-aps").writing
    assert writing is not None
    assert written.equals(writing.schema)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("in.jsonl", {"format_name": "csv"}, "no format 'csv'"),
        ("in.jsonl", {"to": "thinkprm-1k"}, "thinkprm-1k is only read"),
        ("in.jsonl", {"out": "out.csv"}, r"must end with \.jsonl or \.parquet"),
        ("in.jsonl", {"out": "in.jsonl"}, "is what would be read"),
        ("in.jsonl", {"neutral": "meh"}, "no neutral rating 'meh': there are good, bad, none"),
        ("in.jsonl", {"neutral": "good"}, "trl has none"),
        ("in.jsonl", {"format_name": "prm800k"}, "say whether the neutral 0 is good, bad, none"),
        ("none.jsonl", {}, "does not exist"),
        ("in.txt", {}, r"rows come as \.jsonl"),
        ("empty", {}, r"holds no \.jsonl"),
        ("bad.json", {}, "bad.json row 2: each row is an object"),
        ("cut.json", {}, "cut.json: not JSON"),
        ("half.json", {}, "half.json: not JSON"),
    ],
)
def test_a_persons_mistakes_are_one_line(
    tmp_path: Path, source: str, options: dict[str, Any], message: str
) -> None:
    lines(tmp_path / "in.jsonl", GOOD)
    (tmp_path / "in.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.json").write_text(f"[{json.dumps(GOOD)}, 1]")
    (tmp_path / "cut.json").write_text("[{")
    (tmp_path / "half.json").write_text('[{"prompt": "\\ud800"}]')
    arguments = {"format_name": "trl", "out": "out.jsonl", "to": "labelled", **options}
    out = tmp_path / str(arguments.pop("out"))
    with pytest.raises(InputError, match=message):
        import_file(tmp_path / source, out=out, **arguments)
    assert not (tmp_path / "out.jsonl").exists()
