"""The shipped backbone loads as a token classifier; the benchmarks agree with the oracle."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer, PreTrainedTokenizerFast

from factory.scorers import SolutionText, open_scorer
from factory.toy import benchmark_files as files
from factory.toy.lines import read_answer
from factory.toy.measure_prm import row_by_oracle
from factory.toy.oracle import first_error, judge
from factory.toy.prm import BACKBONE_DIR, fine_tuning, train_toy_prm
from factory.toy.prm_samples import SEPARATOR
from factory.toy.solver import Habits, write_solution
from factory.toy.tokenizer import build_tokenizer
from factory.toy.world import is_training_question, make_problems

FILES = {
    "README.md",
    "chat_template.jinja",
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}
QUESTION = "A machine starts with 14. Add 36. What comes out?"
STEPS = ("14 + 36 = 50.", "The answer is: \\boxed{50}")


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(BACKBONE_DIR)


def test_the_folder_is_complete_and_small() -> None:
    assert {path.name for path in BACKBONE_DIR.iterdir()} == FILES
    assert (BACKBONE_DIR / "model.safetensors").stat().st_size < 10_000_000


def test_the_separator_has_one_id_wherever_it_stands(tokenizer: PreTrainedTokenizerFast) -> None:
    separator = tokenizer.convert_tokens_to_ids(SEPARATOR)
    for text in (SEPARATOR, f"50.{SEPARATOR}14", f" {SEPARATOR} {SEPARATOR}"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ids.count(separator) == text.count(SEPARATOR)
        assert tokenizer.decode(ids) == text
    assert tokenizer.get_vocab() == build_tokenizer().get_vocab()


def test_it_loads_as_a_token_classifier_with_two_classes() -> None:
    model = AutoModelForTokenClassification.from_pretrained(BACKBONE_DIR, num_labels=2)
    logits = model(input_ids=torch.arange(12)[None]).logits
    assert tuple(logits.shape) == (1, 12, 2)
    assert torch.isfinite(logits).all()


def test_few_labels_make_a_prm_that_finds_injected_errors(tmp_path: Path) -> None:
    """Of about 190 steps, more than 0.7 of the good and of the bad; a coin does so in 1 of 10^6."""
    habits = Habits(error_rate=0.25, repair_rate=0.0, detour_rate=0.0)
    rows = []
    for problem in make_problems(96, 77, levels=(2,)):
        written = write_solution(problem, 1, habits)
        texts = tuple(step.text for step in written)
        rows.append(row_by_oracle(problem.question, texts, first_error(judge(problem, texts))))
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows[:48]), encoding="utf-8")
    train_toy_prm(file, tmp_path / "prm", num_solutions=48, seed=0, say=lambda line: None)
    scorer = open_scorer(str(tmp_path / "prm"), device="cpu")
    texts = [SolutionText(problem=r["prompt"], steps=tuple(r["completions"])) for r in rows[48:]]
    scores = scorer.score_all(texts)
    for label in (True, False):
        found = [
            (p > 0.5) == label
            for row, values in zip(rows[48:], scores, strict=True)
            for p, truth in zip(values, row["labels"], strict=True)
            if truth == label
        ]
        assert sum(found) / len(found) > 0.7


def test_few_labels_move_the_backbone_little_and_no_number_moves_it_far() -> None:
    rates = [fine_tuning(num).learning_rate for num in (0, 129, 528, 1000, 3000, 100_000)]
    assert rates == sorted(rates)
    assert rates[0] == rates[1] == pytest.approx(1e-5)
    assert rates[3] == pytest.approx(5e-5)
    assert rates[-1] == pytest.approx(1e-4)


def test_processbench_agrees_with_the_oracle() -> None:
    rows = files.read_rows(files.PROCESSBENCH)
    assert len({row["id"] for row in rows}) == len(rows) > 300
    for row in rows:
        problem = files.problem_of(row["id"])
        assert row == files.processbench_row(problem, row["steps"])
        assert not is_training_question(row["problem"])


def test_processbench_is_balanced() -> None:
    rows = files.read_rows(files.PROCESSBENCH)
    kinds = Counter((row["id"].split("-")[0], row["label"] < 0) for row in rows)
    assert set(kinds) == {(name, truth) for name in files.SUBSETS.values() for truth in (0, 1)}
    assert min(kinds.values()) >= 0.8 * max(kinds.values())


def test_best_of_8_agrees_with_the_oracle() -> None:
    rows = files.read_rows(files.BEST_OF_8)
    assert len({row["problem_id"] for row in rows}) == len(rows) >= 300
    for row in rows[::4]:
        problem = files.problem_of(row["problem_id"])
        solutions = [solution["steps"] for solution in row["solutions"]]
        assert len(solutions) == files.NUM_SOLUTIONS
        assert row == files.best_of_row(problem, solutions)
        assert not is_training_question(row["problem"])
        for solution in row["solutions"]:
            assert (read_answer(solution["steps"][-1]) is None) == (solution["answer"] is None)


def test_rows_hold_characters_that_end_lines_elsewhere(tmp_path: Path) -> None:
    rows = [{"problem": "a\u2028b\x85c\x1dd\r\ne"}, {"problem": "f"}]
    files._write(tmp_path / "rows.jsonl", rows)
    assert files.read_rows(tmp_path / "rows.jsonl") == rows


def test_the_two_benchmarks_share_no_question() -> None:
    both = [row for path in (files.PROCESSBENCH, files.BEST_OF_8) for row in files.read_rows(path)]
    assert len(files.benchmark_questions()) == len(both)
