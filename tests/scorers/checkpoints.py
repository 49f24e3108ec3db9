"""Tiny PRMs of random weights, saved as real ones are."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForTokenClassification,
    Qwen2Config,
    Qwen2Model,
)

from factory.scorers import SolutionText
from factory.toy import MODEL_DIR

HIDDEN = 64
SOLUTIONS = (
    SolutionText(problem="What is 2 + 2?", steps=("2 + 2 = 4.", "The answer is: \\boxed{4}")),
    SolutionText(problem="Was ist 3 · 7?", steps=("3 · 7 = 21.",)),
    SolutionText(
        problem="Tom has 5 apples. Then 3 more are bought. How many are there now?",
        steps=("5 + 3 = 9.", "Wait, 5 + 3 = 8.", "Also 日本.", "The answer is: \\boxed{8}"),
    ),
)


def shape(**more: Any) -> dict[str, Any]:
    return {
        "hidden_size": HIDDEN,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "initializer_range": 0.3,
        **more,
    }


def save_tokenizer(folder: Path, *, with_separator: bool = True) -> int:
    """The toy tokenizer, with Qwen's separator where asked for; its number of tokens."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    if with_separator:
        tokenizer.add_special_tokens({"additional_special_tokens": ["<extra_0>"]})
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def save_llama_prm(folder: Path, *, with_separator: bool = True, num_labels: int = 2) -> Path:
    """LlamaForTokenClassification, as transformers' own trainers save it."""
    size = save_tokenizer(folder, with_separator=with_separator)
    torch.manual_seed(1)
    network = LlamaForTokenClassification(
        LlamaConfig(vocab_size=size, num_labels=num_labels, **shape())
    )
    torch.nn.init.normal_(network.score.bias)
    network.save_pretrained(folder)
    return folder


def save_language_model(folder: Path) -> Path:
    size = save_tokenizer(folder)
    LlamaForCausalLM(LlamaConfig(vocab_size=size, **shape())).save_pretrained(folder)
    return folder


def save_qwen_prm(folder: Path, *, without: str | None = None) -> Path:
    """The files of Qwen2.5-Math-PRM: weights `score.0`, `score.2`, and code to be left alone."""
    size = save_tokenizer(folder)
    torch.manual_seed(2)
    config = Qwen2Config(vocab_size=size, tie_word_embeddings=False, **shape())
    weights = {f"model.{name}": w for name, w in Qwen2Model(config).state_dict().items()}
    for name, out in (("score.0", HIDDEN), ("score.2", 2)):
        weights[f"{name}.weight"] = torch.randn(out, HIDDEN) * 0.4
        weights[f"{name}.bias"] = torch.randn(out)
    weights["lm_head.weight"] = torch.randn(size, HIDDEN)
    kept = {name: w.contiguous() for name, w in weights.items() if name != without}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    told = {
        **config.to_dict(),
        "architectures": ["Qwen2ForProcessRewardModel"],
        "auto_map": {
            "AutoConfig": "configuration_qwen2_rm.Qwen2RMConfig",
            "AutoModel": "modeling_qwen2_rm.Qwen2ForProcessRewardModel",
        },
        "pad_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(told), encoding="utf-8")
    for name in ("configuration_qwen2_rm", "modeling_qwen2_rm"):
        (folder / f"{name}.py").write_text(
            "raise SystemExit('the code of a checkpoint was run')\n", encoding="utf-8"
        )
    return folder
