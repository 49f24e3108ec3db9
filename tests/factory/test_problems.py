"""Problems: what comes in, and the one line that names file, line and field."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from factory.core.steps import StepStyle
from factory.errors import InputError
from factory.job import ProblemsSection
from factory.problems import read_problems
from schemas.records import ProblemGroup, Verdict

GOOD = {"question": "How many?", "answer": "72"}


def read(path: Path | str, **fields: Any) -> list[ProblemGroup]:
    section = ProblemsSection(path=str(path), **fields)
    return [problem.group for problem in read_problems(section, StepStyle.AUTO)]


def written(folder: Path, *rows: Any) -> Path:
    file = folder / "p.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def refusal(path: Path | str, **fields: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(path, **fields)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    return message


BAD_SECOND_LINES = {
    "garbage": (b"{oops", "p.jsonl:2: not a JSON line: "),
    "a megabyte of garbage": (b"x" * 1_000_000, "p.jsonl:2: not a JSON line: "),
    "a megabyte of brackets": (b"[" * 1_000_000, "p.jsonl:2: not a JSON line: "),
    "a number of many digits": (b'{"answer": 1' + b"0" * 9_999 + b"}", "p.jsonl:2: not a JSON"),
    "two objects": (b'{"a": 1} {"b": 2}', "p.jsonl:2: not a JSON line: Extra data at character 10"),
    "not UTF-8": (b'{"question": "\xe9"}', "p.jsonl:2: not UTF-8 text"),
    "half a surrogate pair": (
        b'{"question": "\\ud83d", "answer": "1"}',
        "p.jsonl:2: not UTF-8 text",
    ),
    "an array": (b'["question"]', "p.jsonl:2: each line holds one JSON object, this one an array"),
    "null": (b"null", "p.jsonl:2: each line holds one JSON object, this one null"),
    "no columns": (b"{}", "p.jsonl:2: no column 'question' or 'problem' or 'prompt'"),
    "no answer column": (
        b'{"question": "q", "gold": "1"}',
        "for the answer: the row has question, gold; name it under problems.columns.answer",
    ),
    "an empty question": (b'{"question": " ", "answer": "1"}', "p.jsonl:2: question is empty"),
    "a null question": (b'{"question": null, "answer": "1"}', "p.jsonl:2: question is empty"),
    "an empty answer": (b'{"question": "q", "answer": ""}', "p.jsonl:2: answer is empty"),
    "pandas' missing answer": (b'{"question": "q", "answer": NaN}', "p.jsonl:2: answer is empty"),
    "a boolean answer": (b'{"question": "q", "answer": true}', "answer must be text, not True"),
    "a nested answer": (b'{"question": "q", "answer": [[1]]}', "answer must be text, not [[1]]"),
    "nothing after ####": (b'{"question": "q", "answer": "so ####"}', "answer states no answer"),
    "an open box": (b'{"question": "q", "answer": "\\\\boxed{1"}', "answer states no answer"),
    "the same question": (
        b'{"question": "How many?", "answer": "3"}',
        "p.jsonl:2: the same question stands at ",
    ),
    "an empty id": (b'{"question": "q", "answer": "3", "problem_id": ""}', "problem_id is empty"),
    "solutions of another kind": (
        b'{"question": "q", "answer": "3", "solutions": "x"}',
        "p.jsonl:2: solutions must be a list of solutions, not 'x'",
    ),
    "an empty solution": (
        b'{"question": "q", "answer": "3", "solutions": ["a", " "]}',
        "p.jsonl:2: solutions, solution 2, has no steps",
    ),
    "a solution of no steps": (
        b'{"question": "q", "answer": "3", "solutions": [[]]}',
        "p.jsonl:2: solutions, solution 1, has no steps",
    ),
    "an empty step": (
        b'{"question": "q", "answer": "3", "solutions": [["a", ""]]}',
        "solution 1, step 2 must be text, not ''",
    ),
    "a step that is a number": (
        b'{"question": "q", "answer": "3", "solutions": [["a", 7]]}',
        "solution 1, step 2 must be text, not 7",
    ),
    "a solution that is an object": (
        b'{"question": "q", "answer": "3", "solutions": [{"text": "a"}]}',
        "solution 1, must be a text or a list of steps, not dict",
    ),
}


@pytest.mark.parametrize(("line", "message"), BAD_SECOND_LINES.values(), ids=BAD_SECOND_LINES)
def test_a_bad_line_is_named_with_its_field(tmp_path: Path, line: bytes, message: str) -> None:
    file = written(tmp_path, GOOD)
    file.write_bytes(file.read_bytes() + line + b"\n")
    assert message in refusal(file)


def test_ids_that_occur_twice_are_refused_with_both_places(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        {**GOOD, "problem_id": "a"},
        {**GOOD, "problem_id": "b"},
        {**GOOD, "problem_id": "a"},
    )
    assert refusal(file) == (
        f"{file}:3: problem_id 'a' stands at {file}:1 already: "
        "remove one of the two rows, or give each its own"
    )


def test_what_does_not_exist_or_holds_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n\n")
    (tmp_path / "p.csv").write_text("question,answer\n")
    (tmp_path / "folder").mkdir()
    assert "does not exist" in refusal(tmp_path / "none.jsonl")
    assert "does not exist" in refusal("data/train/none")
    assert "does not exist" in refusal("none.parquet")
    assert "holds no problems" in refusal(tmp_path / "empty.jsonl")
    assert "holds no .jsonl, .json, .parquet file" in refusal(tmp_path / "folder")
    assert "problems come as .jsonl" in refusal(tmp_path / "p.csv")


def test_an_unreachable_hub_dataset_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    message = refusal("nobody/nothing-of-this-name")
    assert "'nobody/nothing-of-this-name' is no file here" in message
    assert "split 'train'" in message


def test_a_hub_dataset_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load_dataset(*names: Any, **options: Any) -> list[dict[str, Any]]:
        asked.append((names, options))
        return [{"question": "q", "answer": "so\n#### 72"}, {"question": "r", "answer": "####"}]

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    [group] = read("openai/gsm8k", config="main", split="test", limit=1)
    assert group.answer == "72"
    assert asked == [(("openai/gsm8k", "main"), {"split": "test", "streaming": True})]
    assert refusal("openai/gsm8k").startswith("openai/gsm8k row 2: answer states no answer")


def test_a_hub_error_of_many_lines_becomes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*names: Any, **options: Any) -> None:
        raise ValueError("Config name is missing.\nPlease pick one among: ['main']")

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    message = refusal("openai/gsm8k")
    assert "ValueError: Config name is missing. Please pick one among: ['main']" in message
    assert "config None" in message


def test_a_bom_crlf_and_blank_lines_are_read_over(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_bytes(
        b'\xef\xbb\xbf{"question": "a", "answer": "1"}\r\n\r\n  \n{"question": "b", "answer": "2"}'
    )
    assert [(g.question, g.answer) for g in read(file)] == [("a", "1"), ("b", "2")]


def test_places_count_blank_lines_too(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('\n\n{"question": "a"}\n')
    assert "p.jsonl:3: no column" in refusal(file)


def test_unicode_goes_through_unharmed(tmp_path: Path) -> None:
    [read_back] = read(
        written(tmp_path, {"question": "多少 🍎?", "answer": "½", "naïve": "ß\u2028"})
    )
    assert read_back.question == "多少 🍎?"
    assert json.loads(read_back.metadata or "") == {"naïve": "ß\u2028"}


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (72, "72"),
        (-0.5, "-0.5"),
        ("72", "72"),
        (" 72. ", "72"),
        ("so 8*9 = <<8*9=72>>72\n#### 72", "72"),
        ("#### 1,234", "1234"),
        ("thus \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
    ],
)
def test_answers_are_understood_as_they_come(tmp_path: Path, given: Any, answer: str) -> None:
    [group] = read(written(tmp_path, {"question": "q", "answer": given}))
    assert group.answer == answer


def test_columns_are_mapped_or_guessed(tmp_path: Path) -> None:
    file = written(tmp_path, {"problem": "q", "solution": "\\boxed{1}", "gold": "2", "id": 5})
    [guessed] = read(file)
    assert (guessed.question, guessed.answer) == ("q", "1")
    assert json.loads(guessed.metadata or "") == {"gold": "2", "id": 5}
    [mapped] = read(file, columns={"answer": "gold", "problem_id": "id"})
    assert (mapped.answer, mapped.problem_id) == ("2", "5")
    assert "no column 'golden' for the answer" in refusal(file, columns={"answer": "golden"})


def test_numbers_json_has_no_word_for_become_null_in_the_metadata(tmp_path: Path) -> None:
    [group] = read(written(tmp_path, {**GOOD, "level": float("nan")}))
    assert json.loads(group.metadata or "") == {"level": None}


def test_the_id_is_the_question_where_none_is_given(tmp_path: Path) -> None:
    [first] = read(written(tmp_path, GOOD))
    [second] = read(written(tmp_path, {**GOOD, "answer": "8"}))
    assert first.problem_id == second.problem_id
    assert len(first.problem_id) == 16


def test_only_the_first_problems_are_read_under_a_limit(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD, {"question": "b", "answer": "1"})
    file.write_text(file.read_text() + "{broken")
    assert len(read(file, limit=2)) == 2
    assert len(read(file, limit=1)) == 1


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    (tmp_path / "deep").mkdir()
    pq.write_table(pa.table({"question": ["b"], "answer": [1.5]}), tmp_path / "deep" / "a.parquet")
    (tmp_path / "README.md").write_text("# not a problem")
    assert {g.question for g in read(tmp_path)} == {"How many?", "b"}


def test_parquet_rows_are_named_by_their_number(tmp_path: Path) -> None:
    file = tmp_path / "p.parquet"
    pq.write_table(pa.table({"question": ["a", "b"], "answer": ["1", None]}), file)
    assert refusal(file).startswith(f"{file} row 2: answer is empty")
    file.write_bytes(b"PAR1 no more")
    assert "not a readable Parquet file" in refusal(file)


def test_given_solutions_are_split_and_counted(tmp_path: Path) -> None:
    rows = {**GOOD, "solutions": ["a\n\nb \\boxed{72}", ["a", "b \\boxed{72}"], "c"]}
    [group] = read(written(tmp_path, rows))
    twice, once = group.solutions
    assert twice.steps == ("a\n\n", "b \\boxed{72}")
    assert (twice.num_samples, twice.answer, twice.verdict) == (2, "72", Verdict.UNGRADED)
    assert (once.steps, once.answer, once.num_tokens) == (("c",), None, None)


STEPS = {**GOOD, "solutions": [["a", "b"], "c"]}


def given(path: Path) -> list[tuple[bool | None, ...]]:
    section = ProblemsSection(path=str(path))
    (problem,) = read_problems(section, StepStyle.AUTO, with_labels=True)
    return [solution.given_labels for solution in problem.group.solutions]


def test_labels_are_read_where_they_are_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, {**STEPS, "labels": [[True, None], [False]]})
    assert given(path) == [(True, None), (False,)]
    (named,) = read(path, columns={"labels": "labels"})
    assert [s.given_labels for s in named.solutions] == [(True, None), (False,)]
    (unread,) = read(path)
    assert [s.given_labels for s in unread.solutions] == [(), ()]
    assert json.loads(unread.metadata or "") == {"labels": [[True, None], [False]]}


def test_a_column_of_other_labels_is_metadata(tmp_path: Path) -> None:
    (group,) = read(written(tmp_path, {**STEPS, "labels": ["algebra"]}))
    assert json.loads(group.metadata or "") == {"labels": ["algebra"]}


def test_labels_that_contradict_one_another_are_none(tmp_path: Path) -> None:
    twice = {**GOOD, "solutions": [["a", "b"], ["a", "b"]], "labels": [[True, True], [True, False]]}
    assert given(written(tmp_path, twice)) == [(True, None)]


def test_other_labels_make_another_input(tmp_path: Path) -> None:
    ids = set()
    for labels in ([[True, True], [True]], [[True, False], [True]], [[True, None], [True]]):
        path = written(tmp_path, {**STEPS, "labels": labels})
        ids.add(read(path, columns={"labels": "labels"})[0].input_id)
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[True, True]], "one list of labels for each of the 2 solutions, not 1 lists"),
        ("good", "one list of labels for each of the 2 solutions, not 'good'"),
        ([[True], [True]], "solution 1, has 1 labels for 2 steps"),
        ([["+", "-"], [True]], "solution 1, labels must be true, false or null"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, labels: Any, message: str) -> None:
    path = written(tmp_path, {**STEPS, "labels": labels})
    assert message in refusal(path, columns={"labels": "labels"})
