"""Real vLLM: its pooling engine agrees with transformers, and the toy teacher judges steps."""

from collections.abc import Iterator
from math import isnan
from pathlib import Path

import pytest

from factory.errors import InputError
from factory.scorers import Scorer, SolutionText, open_scorer
from factory.toy.teacher import TEACHER_DIR
from schemas.generation import Sampling
from tests.scorers.checkpoints import SOLUTIONS, save_llama_prm, save_qwen_prm

pytestmark = [pytest.mark.engine, pytest.mark.slow]
ENGINE_ARGS = {"max_model_len": 256, "kv_cache_memory_bytes": 64 << 20, "max_num_seqs": 8}
QUESTION = (
    "Tom has 5 apples. Then 3 more are bought. Then 2 are lost. How many apples are there now?"
)
RIGHT = ("5 + 3 = 8.", "8 - 2 = 6.", r"The answer is: \boxed{6}")
WRONG = ("5 + 3 = 8.", "8 - 2 = 5.", r"The answer is: \boxed{5}")


@pytest.mark.parametrize("save", [save_llama_prm, save_qwen_prm])
def test_vllm_and_transformers_give_the_same_scores(save: object, tmp_path: Path) -> None:
    assert callable(save)
    folder = str(save(tmp_path))
    expected = open_scorer(folder, backend="transformers").score_all(SOLUTIONS)
    scorer = open_scorer(folder, backend="vllm", device="cpu", engine_args=ENGINE_ARGS)
    try:
        long = SolutionText(problem="Count.", steps=("1 " * 300,))
        found = scorer.score_all([*SOLUTIONS, long])
        assert scorer.unscored == {"longer than the model's context": 1}
        assert scorer.describe()["backend"] == "vllm"
    finally:
        scorer.close()
    for ours, theirs in zip(found, expected, strict=False):
        assert ours == pytest.approx(theirs, abs=1e-3)
    assert isnan(found[-1][0])


def test_vllm_says_what_it_does_not_serve(tmp_path: Path) -> None:
    folder = save_llama_prm(tmp_path)
    config = (folder / "config.json").read_text(encoding="utf-8")
    config = config.replace("LlamaForTokenClassification", "NoSuchForTokenClassification")
    config = config.replace('"llama"', '"nosuch"')
    (folder / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(InputError, match="does not"):
        open_scorer(str(folder), backend="vllm", device="cpu", engine_args=ENGINE_ARGS)


@pytest.fixture(scope="module")
def teacher() -> Iterator[Scorer]:
    scorer = open_scorer(
        str(TEACHER_DIR),
        form="critique",
        device="cpu",
        num_samples=4,
        sampling=Sampling(temperature=0.6, max_tokens=600),
        engine_args={"max_model_len": 1024, "kv_cache_memory_bytes": 128 << 20},
    )
    yield scorer
    scorer.close()


def test_the_toy_teacher_scores_right_steps_high_and_an_error_low(teacher: Scorer) -> None:
    solutions = [
        SolutionText(problem=QUESTION, steps=RIGHT),
        SolutionText(problem=QUESTION, steps=WRONG),
    ]
    right, wrong = teacher.score_all(solutions)
    assert min(right) > 0.5, right
    assert wrong[0] > 0.5 > max(wrong[1:]), wrong


def test_a_generative_score_is_the_same_again(teacher: Scorer) -> None:
    assert teacher.score(QUESTION, WRONG) == pytest.approx(teacher.score(QUESTION, WRONG), abs=1e-3)
