"""The shipped teacher is small, loads as it is and writes critiques that can be read."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from factory.toy.critique_sampling import FORM, Written, load_transformers, write_critiques
from factory.toy.teacher import MAX_POSITIONS, TEACHER_DIR, build_teacher_tokenizer

QUESTION = (
    "Tom has 5 apples. Then 3 more are bought. Then 2 are lost. How many apples are there now?"
)
RIGHT = ("5 + 3 = 8.", "8 - 2 = 6.", r"The answer is: \boxed{6}")
WRONG = ("5 + 3 = 8.", "8 - 2 = 5.", r"The answer is: \boxed{5}")
FILES = (
    "README.md",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)


def test_the_folder_is_complete_and_small() -> None:
    assert {path.name for path in TEACHER_DIR.iterdir()} == set(FILES)
    assert (TEACHER_DIR / "model.safetensors").stat().st_size < 5_000_000


def test_the_folder_loads_and_ends_its_turn() -> None:
    network = AutoModelForCausalLM.from_pretrained(TEACHER_DIR)
    tokenizer = AutoTokenizer.from_pretrained(TEACHER_DIR)
    logits = network(**tokenizer("### Paragraph 1\n<analyze>\n", return_tensors="pt")).logits
    assert logits.shape == (1, 3, len(tokenizer))
    assert torch.isfinite(logits).all()
    assert network.config.max_position_embeddings == MAX_POSITIONS
    assert network.generation_config.eos_token_id == tokenizer.eos_token_id


def test_the_shipped_tokenizer_is_the_one_training_builds() -> None:
    shipped, built = PreTrainedTokenizerFast.from_pretrained(TEACHER_DIR), build_teacher_tokenizer()
    assert shipped.get_vocab() == built.get_vocab()
    assert shipped.chat_template == built.chat_template


@pytest.fixture(scope="module")
def critiques() -> list[Written]:
    sampler = load_transformers(TEACHER_DIR)
    return write_critiques(sampler, [(QUESTION, RIGHT), (QUESTION, WRONG)], 0.0, 0)


def test_a_right_solution_is_called_right(critiques: list[Written]) -> None:
    reading = FORM.read(critiques[0].text, len(RIGHT))
    assert reading.verdicts == (True, True, True), critiques[0].text


def test_the_first_error_is_found_and_ends_the_critique(critiques: list[Written]) -> None:
    reading = FORM.read(critiques[1].text, len(WRONG))
    assert reading.verdicts == (True, False), critiques[1].text
    assert critiques[1].text.endswith("**First error**: $\\boxed{2}$")


def test_every_section_has_a_check_that_was_run(critiques: list[Written]) -> None:
    for critique in critiques:
        assert critique.is_ended
        assert critique.text.count("[Code Output]\n\n```\n") == critique.text.count("</verify>")
        assert critique.text.count("print(") == critique.text.count("</verify>") > 0
