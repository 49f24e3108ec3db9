"""From files to a report: a scorer that knows the truth, inputs that are damaged, the command."""

import json
from collections import Counter
from collections.abc import Sequence
from io import StringIO
from math import isnan, nan
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from factory.cli.commands import app
from factory.errors import InputError
from factory.evaluation.benchmarks import answer_classes
from factory.evaluation.progress import kept_scores
from factory.evaluation.run import SCORED_TOGETHER, evaluate, read_parts
from factory.evaluation.settings import EvalInputs, EvalSettings
from factory.relabel import relabel
from factory.report.evaluation import print_evaluation
from factory.report.evaluation_plots import plot_evaluation
from factory.scorers import SolutionText
from tests.factory.builders import group, job_folder, solution
from workers.grading import Grader

PROCESSBENCH = [
    {"id": "gsm8k-0", "problem": "2 + 2?", "steps": ["4", "BAD 5", "6"], "label": 1},
    {"id": "gsm8k-1", "problem": "2 + 3?", "steps": ["5", "so 5"], "label": -1},
    {"id": "math-0", "problem": "多少?", "steps": ["BAD 三", "四"], "label": 0},
    {"id": "math-1", "problem": "√2 · √2 ?", "steps": ["2"], "label": -1},
]
BEST_OF = [
    {
        "problem_id": "a",
        "problem": "1/4 + 1/4?",
        "reference_answer": "1/2",
        "solutions": [
            {"steps": ["BAD", "\\boxed{2}"], "answer": "2"},
            {"steps": ["BAD", "\\boxed{2}"], "answer": "2"},
            {"steps": ["fine", "\\boxed{0.5}"]},
            {"steps": ["fine too", "\\boxed{1/2}"], "answer": "1/2", "is_correct": True},
            {"steps": ["BAD, and gave up"], "answer": None},
        ],
    },
    {
        "problem_id": "b",
        "problem": "1 + 1?",
        "reference_answer": "2",
        "solutions": [{"steps": ["\\boxed{2}"], "answer": "2", "is_correct": True}] * 3,
    },
]
PRMBENCH = [
    {
        "idx": "circular_1",
        "classification": "circular",
        "original_question": "Why?",
        "modified_question": "Why?",
        "modified_process": ["1. a", "2. BAD b", "3. c"],
        "error_steps": [2],
    },
]


class Knowing:
    """A step with BAD in it scores 0.1, any other 0.9."""

    def __init__(self) -> None:
        self.unscored: Counter[str] = Counter()
        self.seen: list[SolutionText] = []

    def score(self, problem: str, steps: Sequence[str]) -> list[float]:
        return [0.1 if "BAD" in step else 0.9 for step in steps]

    def score_all(self, solutions: Sequence[SolutionText]) -> list[list[float]]:
        self.seen += solutions
        return [self.score(s.problem, s.steps) for s in solutions]

    def describe(self) -> dict[str, Any]:
        return {"model": "knowing", "kind": "oracle"}

    def close(self) -> None:
        pass


class Silent(Knowing):
    """Scores the solutions of one problem at most."""

    def __init__(self, but: str = "") -> None:
        super().__init__()
        self._but = but

    def score(self, problem: str, steps: Sequence[str]) -> list[float]:
        if problem == self._but:
            return super().score(problem, steps)
        self.unscored["no voice"] += 1
        return [nan] * len(steps)


def jsonl(path: Path, rows: Sequence[Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def report_of(scorer: Knowing | None = None, out: Path | None = None, **inputs: Any) -> Any:
    settings = inputs.pop("settings", EvalSettings())
    return evaluate(scorer or Knowing(), read_parts(EvalInputs(**inputs), settings), out)


def printed(report: dict[str, Any]) -> str:
    console = Console(file=StringIO(), width=120)
    print_evaluation(console, report)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_scorer_that_knows_names_every_first_error(tmp_path: Path) -> None:
    found = report_of(processbench=jsonl(tmp_path / "pb.jsonl", PROCESSBENCH))["processbench"]
    assert found["threshold"]["chosen_on"] == "gsm8k"
    assert [s["subset"] for s in found["subsets"]] == ["gsm8k", "math"]
    assert [s["f1"]["value"] for s in found["subsets"]] == [1.0, 1.0]
    assert found["average_f1"]["num"] == 4
    assert found["held_out_f1"]["num"] == 2


def test_subsets_come_from_files_where_ids_do_not_name_them(tmp_path: Path) -> None:
    rows = [{**row, "id": None} for row in PROCESSBENCH]
    jsonl(tmp_path / "pb" / "easy.jsonl", rows[:2])
    table = pa.Table.from_pylist(rows[2:])
    pq.write_table(table, tmp_path / "pb" / "hard.parquet")
    found = report_of(processbench=str(tmp_path / "pb"))["processbench"]
    assert [s["subset"] for s in found["subsets"]] == ["easy", "hard"]
    assert found["threshold"]["chosen_on"] == "easy"


def test_a_given_threshold_is_used_and_said(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "pb.jsonl", PROCESSBENCH)
    report = report_of(processbench=source, settings=EvalSettings(threshold=0.05))
    assert report["processbench"]["average_f1"]["value"] == 0.0
    assert "threshold 0.05, given" in printed(report)
    with pytest.raises(InputError, match=r"no subset 'aime' in .*: there are gsm8k, math"):
        report_of(processbench=source, settings=EvalSettings(threshold_subset="aime"))
    with pytest.raises(InputError, match="given or chosen"):
        EvalSettings(threshold=0.5, threshold_subset="math")


def test_best_of_grades_groups_and_votes(tmp_path: Path) -> None:
    report = report_of(best_of=jsonl(tmp_path / "b.jsonl", BEST_OF))
    found = report["best_of"]
    methods = {row["method"]: row for row in found["methods"]}
    # 0.5, read from the last step and graded, votes with 1/2: two against two
    assert methods["majority"]["accuracy"]["value"] == pytest.approx((0.5 + 1) / 2)
    assert methods["pass@1"]["accuracy"]["value"] == pytest.approx((2 / 5 + 1) / 2)
    assert methods["pass@N"]["accuracy"]["value"] == 1.0
    assert methods["prm-min"]["accuracy"]["value"] == 1.0
    assert methods["vote-min"]["gain"]["value"] == pytest.approx(0.25)
    assert found["solutions_per_problem"] == [3, 5]
    assert found["curve"]["n"] == [1, 2, 4, 5]
    assert (found["num_ungraded"], found["num_unscored"]) == (0, 0)


def test_repeated_solutions_are_scored_once(tmp_path: Path) -> None:
    scorer = Knowing()
    report = report_of(scorer, best_of=jsonl(tmp_path / "b.jsonl", BEST_OF))
    assert len(scorer.seen) == report["num_solutions_scored"] == 5


def test_equal_answers_are_one_class_and_no_answer_is_none() -> None:
    grader = Grader()
    try:
        found = answer_classes(["0.5", None, "7", "1/2", None, "0.50"], grader)
        assert answer_classes([], grader) == []
        assert answer_classes([None, None], grader) == [None, None]
    finally:
        grader.close()
    assert found[0] == found[3] == found[5]
    assert found[1] is found[4] is None
    assert len(set(found)) == 3


def test_labels_of_a_published_dataset_are_compared(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", group("p", solution("s", 8, 4, 0), solution("t", 8)))
    relabel(folder, "math-shepherd", folder)
    found = report_of(labels=str(folder))["labels"]
    assert found["num_steps"] == 6
    assert found["auc"]["value"] == 0.5  # all score alike
    assert 0 < found["num_good"] < 6


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Q", "completions": ["a", "BAD"], "labels": [True, False]},
        {"question": "Q", "steps": ["a", "BAD"], "labels": [True, False]},
        {"id": "x", "problem": "Q", "steps": ["a", "BAD", "c"], "label": 1},
    ],
)
def test_labels_of_other_formats_are_recognised(row: dict[str, Any], tmp_path: Path) -> None:
    found = report_of(labels=jsonl(tmp_path / "l.jsonl", [row]))["labels"]
    assert (found["num_steps"], found["num_good"]) == (2, 1)
    assert found["auc"]["value"] == 1.0
    assert found["agreement"]["value"] == 1.0


def test_solutions_of_which_nothing_is_known_are_counted(tmp_path: Path) -> None:
    """Zero steps, and steps without a label."""
    rows = [
        {"question": "Q", "steps": ["a", "BAD"], "labels": [True, False]},
        {"question": "Q", "steps": ["a"], "labels": [None]},
        {"question": "Q", "steps": [], "labels": []},
    ]
    report = report_of(labels=jsonl(tmp_path / "l.jsonl", rows))
    assert report["labels"]["num_solutions"] == 1
    assert sum(report["labels"]["skipped"].values()) == 2
    assert "left out, no step with a label: 1" in printed(report)


def test_prmbench_s_step_numbers_are_taken_off(tmp_path: Path) -> None:
    steps = ["1. a", "Step 2. BAD b", "1.5 is c", "4."]
    scorer = Knowing()
    row = {**PRMBENCH[0], "modified_process": steps}
    report_of(scorer, prmbench=jsonl(tmp_path / "p.jsonl", [row]))
    assert scorer.seen[0].steps == ("a", "BAD b", "1.5 is c", "4.")


def test_prmbench_counts_its_error_steps_from_1(tmp_path: Path) -> None:
    found = report_of(prmbench=jsonl(tmp_path / "p.jsonl", PRMBENCH))["prmbench"]
    assert found["overall"]["prm_score"]["value"] == 1.0
    assert found["categories"][0]["category"] == "circular"


def test_what_a_model_does_not_score_is_right_nowhere_and_that_is_said(tmp_path: Path) -> None:
    report = report_of(
        Silent(but="1 + 1?"),
        processbench=jsonl(tmp_path / "pb.jsonl", PROCESSBENCH),
        best_of=jsonl(tmp_path / "b.jsonl", BEST_OF),
        labels=jsonl(tmp_path / "l.jsonl", PROCESSBENCH),
        prmbench=jsonl(tmp_path / "p.jsonl", PRMBENCH),
        out=tmp_path / "out",
    )
    assert (report["num_solutions"], report["num_solutions_scored"]) == (10, 1)
    assert report["processbench"]["average_f1"]["value"] == 0.0
    assert report["processbench"]["num_unscored"] == 4
    best_of = report["best_of"]
    assert (best_of["num_unscored"], best_of["num_problems_unscored"]) == (5, 1)
    methods = {row["method"]: row["accuracy"]["value"] for row in best_of["methods"]}
    assert methods["prm-last"] == methods["vote-last"] == 0.5
    assert report["labels"]["num_steps"] == 0
    assert report["prmbench"]["num_unscored"] == 1
    text = printed(report)
    for line in (
        "1 of 10 solutions, 1 steps",
        "solutions without a score, no voice: 9",
        "without a score, so judged wrongly: 4",
        "solutions without a score, so never preferred: 5",
        "problems without any score, so prm-* and vote-* are wrong: 1",
        "solutions without an answer, so without a vote: 1",
        "labelled steps without a score, so left out: 6",
        "processes without a score, so left out: 1",
    ):
        assert line in text
    [line, *_] = (tmp_path / "out" / "scores.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["scores"] == [None, None, None]
    kept = kept_scores(tmp_path / "out")
    assert len(kept) == 10
    assert sum(not any(map(isnan, scores)) for scores in kept.values()) == 1


def test_a_model_that_scores_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scored none of 5 solutions: no voice \(5\)"):
        report_of(Silent(), best_of=jsonl(tmp_path / "b.jsonl", BEST_OF))


def test_the_report_is_json_of_what_is_printed_with_plots(tmp_path: Path) -> None:
    report = report_of(
        processbench=jsonl(tmp_path / "pb.jsonl", PROCESSBENCH),
        best_of=jsonl(tmp_path / "b.jsonl", BEST_OF),
        labels=jsonl(tmp_path / "l.jsonl", PROCESSBENCH),
        prmbench=jsonl(tmp_path / "p.jsonl", PRMBENCH),
        out=tmp_path / "out",
    )
    assert json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8")) == report
    text = printed(report)
    for shown in ("chosen on gsm8k", "without gsm8k", "vote-product", "AUC", "circular", "100.0"):
        assert shown in text
    pictures = plot_evaluation(report, tmp_path / "out")
    assert [p.name for p in pictures] == ["best_of.png", "reliability.png"]
    assert all(p.stat().st_size > 5_000 for p in pictures)


@pytest.mark.parametrize(
    ("part", "rows", "message"),
    [
        ("processbench", [PROCESSBENCH[0], "{damaged"], r"pb\.jsonl:2: not a JSON line"),
        ("processbench", [{**PROCESSBENCH[0], "label": 3}], r"pb\.jsonl:1: 'label' must be -1 or"),
        ("processbench", [{"problem": "Q", "label": -1}], "no 'steps'"),
        ("processbench", [{"problem": "Q", "steps": [], "label": -1}], "'steps' is empty"),
        (
            "processbench",
            [],
            r"holds no rows.* \(a ProcessBench row has problem, steps",
        ),
        (
            "processbench",
            [{"problem": None, "steps": ["a"], "label": -1}],
            r"pb\.jsonl:1: 'problem' must be text, not null \(a ProcessBench row has",
        ),
        ("processbench", [{"problem": "Q", "steps": ["a"]}], "-1 or a step, 0 to 0, not null"),
        ("best_of", [{"problem": "Q", "solutions": []}], "'solutions' is empty"),
        ("best_of", [{"problem": "Q", "solutions": [{"steps": ["a"]}]}], "'reference_answer'"),
        ("best_of", [{"problem": "Q", "solutions": [{"steps": []}]}], "'steps' must be"),
        (
            "best_of",
            [{"problem": "Q", "solutions": [{"steps": ["a"], "is_correct": "yes"}]}],
            "'is_correct' must be",
        ),
        (
            "best_of",
            [BEST_OF[0], {"problem": "Q", "solutions": [{"steps": ["a", None]}]}],
            r"pb\.jsonl:2: 'steps' must hold texts, but number 2 is null \(a best-of-N row has",
        ),
        (
            "best_of",
            [*BEST_OF, {**BEST_OF[1], "problem": "1 + 1 = ?"}],
            r"pb\.jsonl:3: problem 'b' stands at .*pb\.jsonl:2 already: put all its solutions",
        ),
        ("best_of", ["null"], "one JSON object, this one null"),
        ("best_of", [], "holds no rows"),
        ("prmbench", [{**PRMBENCH[0], "error_steps": [0]}], "from 1 to 3, not 0"),
        ("prmbench", [{**PRMBENCH[0], "error_steps": None}], r"not null \(a PRMBench row has"),
        ("prmbench", [{**PRMBENCH[0], "modified_process": []}], "'modified_process' is empty"),
        ("prmbench", [], "holds no rows"),
        ("labels", [{"text": "?"}], "of no format that is guessed"),
        (
            "labels",
            [{"prompt": "Q", "completions": ["a"], "labels": None}],
            r"pb\.jsonl:1: .*the nearest is trl: 'labels' must be a list, not null; mend it",
        ),
        ("labels", [], r"no step with a label.*\(it has no rows\)"),
        (
            "labels",
            [{"prompt": "Q", "completions": [], "labels": []}],
            r"no step with a label.*\(no steps \(1\)\)",
        ),
    ],
)
def test_a_damaged_row_is_named(part: str, rows: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        report_of(**{part: jsonl(tmp_path / "pb.jsonl", rows)})


class Dying(Knowing):
    """Scores a chunk, leaves a reason, and dies in the next."""

    def score_all(self, solutions: Sequence[SolutionText]) -> list[list[float]]:
        if self.seen:
            raise KeyboardInterrupt
        self.unscored["no voice"] += 1
        found = super().score_all(solutions)
        return [[nan] * len(found[0]), *found[1:]]


def test_an_interrupted_evaluation_goes_on_with_the_scores_it_has(tmp_path: Path) -> None:
    rows = [{**PROCESSBENCH[i % 4], "problem": f"Problem {i}?"} for i in range(SCORED_TOGETHER + 2)]
    source = jsonl(tmp_path / "pb.jsonl", rows)
    out = tmp_path / "out"

    def evaluated(scorer: Knowing, **inputs: Any) -> Any:
        return report_of(scorer, out, **({"processbench": source} | inputs))

    with pytest.raises(KeyboardInterrupt):
        evaluated(Dying())
    with (out / "scores.jsonl").open("a") as file:
        file.write('{"problem": "cut')
    report = evaluated(again := Knowing())
    assert [text.problem for text in again.seen] == [row["problem"] for row in rows[-2:]]
    assert report["num_solutions"] == report["num_solutions_scored"] + 1 == len(rows)
    assert report["unscored"] == {"no voice": 1}
    lines = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    assert [line["problem"] for line in lines] == [row["problem"] for row in rows]
    assert lines[0]["scores"] == [None] * 3
    assert sorted(path.name for path in out.iterdir()) == ["report.json", "scores.jsonl"]

    evaluated(once_more := Knowing())
    assert len(once_more.seen) == len(rows), "a finished evaluation is done anew"
    with pytest.raises(KeyboardInterrupt):
        evaluated(Dying())
    evaluated(other := Knowing(), limit=3)
    assert len(other.seen) == 3, "another evaluation takes up nothing"
    assert len((out / "scores.jsonl").read_text().splitlines()) == 3


def test_a_split_is_of_datasets_on_the_hub(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "pb.jsonl", PROCESSBENCH)
    with pytest.raises(InputError, match=r"--split is of datasets on the Hub, and .*pb.jsonl is"):
        report_of(processbench=source, split="test")


def test_what_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist: give a file"):
        report_of(best_of=str(tmp_path / "none.jsonl"))


def test_the_command_refuses_bad_input_before_it_loads_a_model(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "b.jsonl", ["{"])
    done = CliRunner().invoke(app, ["eval", "no/model", "--best-of", source])
    assert isinstance(done.exception, InputError)
    assert "b.jsonl:1" in str(done.exception)


def test_the_command_refuses_a_file_as_its_folder_before_it_loads_a_model(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "pb.jsonl", PROCESSBENCH)
    done = CliRunner().invoke(app, ["eval", "no/model", "--processbench", source, "--out", source])
    assert "is a file: name a folder with --out" in str(done.exception)


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        (["--labels-format", "trl"], "--labels-format is for --labels"),
        (["--split", "test"], "--split is for a dataset on the Hub"),
        (["--step-threshold", "0.5"], "--step-threshold is for --labels or --prmbench"),
        (["--best-of", "{file}", "--threshold", "0.5"], "--threshold is for --processbench"),
        (["--best-of", "{file}", "--threshold-subset", "a"], "--threshold-subset is for --process"),
    ],
)
def test_the_command_refuses_what_would_change_nothing(
    options: list[str], needed: str, tmp_path: Path
) -> None:
    file = jsonl(tmp_path / "b.jsonl", BEST_OF)
    done = CliRunner().invoke(app, ["eval", "no/model", *(o.format(file=file) for o in options)])
    assert isinstance(done.exception, InputError)
    assert needed in str(done.exception)


def test_the_command_evaluates_a_prm(tmp_path: Path) -> None:
    from tests.scorers.checkpoints import save_llama_prm

    (tmp_path / "prm").mkdir()
    model = save_llama_prm(tmp_path / "prm")
    command = ["eval", str(model), "--processbench", jsonl(tmp_path / "pb.jsonl", PROCESSBENCH)]
    command += ["--best-of", jsonl(tmp_path / "b.jsonl", BEST_OF), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["model"]["backend"] == "transformers"
    assert report["num_steps_scored"] == 16
    assert "first errors" in done.output
