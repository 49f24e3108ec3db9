"""The shipped folder is small, loads as it is and really solves easy problems."""

import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from factory.toy import MODEL_DIR
from factory.toy.measure import prompt_of
from factory.toy.oracle import judge
from factory.toy.sampling import load_sampler
from factory.toy.world import make_problems

FILES = (
    "README.md",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)


def test_importing_the_toy_needs_no_torch() -> None:
    code = (
        "import sys, factory.toy, factory.toy.world, factory.toy.oracle\n"
        "assert not {'torch', 'transformers', 'vllm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_folder_is_complete_and_small() -> None:
    assert {path.name for path in MODEL_DIR.iterdir()} == set(FILES)
    assert sum(path.stat().st_size for path in MODEL_DIR.iterdir()) < 5_500_000


def test_the_folder_loads_and_ends_its_turn() -> None:
    network = AutoModelForCausalLM.from_pretrained(MODEL_DIR)
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    logits = network(**tokenizer("14 + 36 = 50.", return_tensors="pt")).logits
    assert logits.shape == (1, 9, len(tokenizer))
    assert torch.isfinite(logits).all()
    assert network.generation_config.eos_token_id == tokenizer.eos_token_id
    assert network.config.eos_token_id == tokenizer.eos_token_id


def test_greedy_decoding_solves_most_level_1_problems() -> None:
    """Sampled pass rate 0.98 over 480 solutions; greedy above 0.8 over 60 leaves a wide margin.

    Problems and weights are fixed, so only another machine's rounding could move the number.
    """
    problems = make_problems(60, 1, levels=(1,))
    completions = load_sampler(MODEL_DIR, "transformers")([prompt_of(p) for p in problems], 0.0, 0)
    solved = [
        judge(p, c.text.split("\n\n"))[-1].is_true
        for p, c in zip(problems, completions, strict=True)
    ]
    assert sum(solved) / len(solved) > 0.8


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(ValueError, match="known: auto, vllm, transformers"):
        load_sampler(MODEL_DIR, "other")
