"""Checks before a job starts: the answers can be graded, the questions fit the model."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from factory.errors import InputError
from factory.job import ModelSection
from factory.job_file import load_job
from factory.models import context_length
from factory.problem_checks import checked_problems
from factory.recipes import load_recipe
from factory.toy import MODEL_DIR
from schemas.records import ProblemGroup, Status
from tests.factory.builders import job_file

RECIPE = load_recipe("math-shepherd")
TOO_LONG = "How many? " * 2_000


def checked(folder: Path, *rows: dict[str, Any], **problems: Any) -> list[ProblemGroup]:
    (folder / "problems.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    section = {"path": "problems.jsonl", **problems}
    return list(checked_problems(load_job(job_file(folder, problems=section)), RECIPE))


def row(question: str = "q", answer: str = "1") -> dict[str, str]:
    return {"question": question, "answer": answer}


@pytest.mark.parametrize("answer", ["\\frac{1}{2", "x" * 3_000])
def test_an_answer_nothing_can_be_compared_with_is_refused(tmp_path: Path, answer: str) -> None:
    with pytest.raises(InputError, match=r"problems.jsonl:2: answer .* cannot be compared") as e:
        checked(tmp_path, row(), row("b", answer))
    assert len(str(e.value)) < 400


def test_usual_answers_pass(tmp_path: Path) -> None:
    answers = ["1", "-3.5", "\\frac{1}{2}", "(1, 2]", "x^2+1", "Paris", "10\\%"]
    groups = checked(tmp_path, *(row(f"q{n}", a) for n, a in enumerate(answers)))
    assert [g.answer for g in groups] == answers


def test_a_question_longer_than_the_context_stops_the_job(tmp_path: Path) -> None:
    context = context_length(ModelSection(model=str(MODEL_DIR)))
    assert context is not None
    with pytest.raises(InputError) as caught:
        checked(tmp_path, row(), row(TOO_LONG))
    message = str(caught.value)
    assert "problems.jsonl:2: question of " in message
    assert f"the model's context of {context:,}: raise max_model_len, or set" in message


def test_a_question_longer_than_the_context_is_dropped_if_the_job_says_so(tmp_path: Path) -> None:
    short, long = checked(tmp_path, row(), row(TOO_LONG), too_long="drop")
    assert short.status is Status.OK
    assert (long.status, long.reason) == (Status.DROPPED, "question too long for the generator")


GIVEN = {"solutions": ["7\n\nso 1"]}


def test_a_dropped_problem_keeps_its_given_solutions(tmp_path: Path) -> None:
    rows = ({**row(), **GIVEN}, {**row(TOO_LONG), **GIVEN})
    short, long = checked(tmp_path, *rows, too_long="drop")
    assert (len(short.solutions), len(long.solutions)) == (1, 1)
    assert (long.status, long.reason) == (Status.DROPPED, "question too long for the completer")


@pytest.mark.parametrize(("given", "length"), [({}, 2), (GIVEN, 3)])
def test_the_model_that_reads_the_question_first_is_the_one_it_must_fit(
    tmp_path: Path, given: dict[str, Any], length: int
) -> None:
    (tmp_path / "problems.jsonl").write_text(json.dumps({**row(), **given}) + "\n")
    models = {
        role: {"model": str(MODEL_DIR), "engine_args": {"max_model_len": max_model_len}}
        for role, max_model_len in (("generator", 2), ("completer", 3))
    }
    job = load_job(job_file(tmp_path, **models))
    with pytest.raises(InputError, match=f"does not fit the model's context of {length}:"):
        list(checked_problems(job, RECIPE))


def test_the_last_token_of_the_context_is_room_enough(tmp_path: Path) -> None:
    (tmp_path / "problems.jsonl").write_text(json.dumps(row("3 + 4 = ?")) + "\n")

    def outcome(max_model_len: int) -> str:
        model = {"model": str(MODEL_DIR), "engine_args": {"max_model_len": max_model_len}}
        job = load_job(job_file(tmp_path, generator=model))
        try:
            return str(len(list(checked_problems(job, RECIPE))))
        except InputError as error:
            return str(error).split("question of ")[1].split(" tokens")[0]

    num_tokens = int(outcome(2))
    assert outcome(num_tokens) == str(num_tokens)
    assert outcome(num_tokens + 1) == "1"


def test_a_model_without_a_chat_template_is_checked_too(tmp_path: Path) -> None:
    model = Path(shutil.copytree(MODEL_DIR, tmp_path / "base"))
    (model / "chat_template.jinja").unlink()
    (tmp_path / "problems.jsonl").write_text(json.dumps(row(TOO_LONG)) + "\n")
    job = load_job(job_file(tmp_path, generator={"model": "base"}))
    with pytest.raises(InputError, match=r"problems.jsonl:1: question of .* does not fit"):
        list(checked_problems(job, RECIPE))
