"""Sampling from a model folder, with vLLM or with transformers, for measuring and for demos."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ENGINES = ("auto", "vllm", "transformers")
MAX_PROMPT_AND_COMPLETION = 320
MAX_NEW_TOKENS = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the model wrote after a prompt; `num_tokens` counts the end token where it came."""

    text: str
    num_tokens: int


Sampler = Callable[[Sequence[str], float, int], list[Completion]]
"""(prompts, temperature, seed) -> one completion per prompt; temperature 0 is greedy."""


def load_sampler(model: Path, engine: str = "auto") -> Sampler:
    """vLLM where it is installed, unless transformers is asked for."""
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; known: {', '.join(ENGINES)}")
    if engine == "auto":
        engine = "vllm" if find_spec("vllm") else "transformers"
    return _load_vllm(model) if engine == "vllm" else _load_transformers(model)


def open_vllm(model: Path, max_length: int, cache_bytes: int) -> Any:
    """vLLM in this process, as it starts fastest for a tiny model."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    from vllm import LLM

    return LLM(
        model=str(model),
        dtype="float32",
        enforce_eager=True,
        kv_cache_memory_bytes=cache_bytes,
        block_size=32,
        max_model_len=max_length,
        max_num_seqs=128,
        enable_chunked_prefill=False,
        enable_prefix_caching=True,
    )


def _load_vllm(model: Path) -> Sampler:
    llm = open_vllm(model, MAX_PROMPT_AND_COMPLETION, cache_bytes=64 << 20)
    from vllm import SamplingParams

    def sample(prompts: Sequence[str], temperature: float, seed: int) -> list[Completion]:
        settings = [
            SamplingParams(
                temperature=temperature,
                top_p=1.0,
                top_k=0,
                seed=seed + i,
                max_tokens=MAX_NEW_TOKENS,
            )
            for i in range(len(prompts))
        ]
        outputs = llm.generate(list(prompts), settings, use_tqdm=False)
        best = [output.outputs[0] for output in outputs]
        return [Completion(text=o.text, num_tokens=len(o.token_ids)) for o in best]

    return sample


def _load_transformers(model: Path, batch_size: int = 128) -> Sampler:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(model).eval()
    tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")

    def sample_batch(prompts: Sequence[str], temperature: float) -> list[Completion]:
        inputs = tokenizer(
            list(prompts), return_tensors="pt", padding=True, return_token_type_ids=False
        )
        choice = {"temperature": temperature, "top_k": 0} if temperature > 0 else {}
        rows = network.generate(
            **inputs, do_sample=temperature > 0, max_new_tokens=MAX_NEW_TOKENS, **choice
        )
        new = [row[inputs["input_ids"].shape[1] :].tolist() for row in rows]
        real = [[i for i in ids if i != tokenizer.pad_token_id] for ids in new]
        return [
            Completion(
                text=str(tokenizer.decode(ids, skip_special_tokens=True)), num_tokens=len(ids)
            )
            for ids in real
        ]

    def sample(prompts: Sequence[str], temperature: float, seed: int) -> list[Completion]:
        by_length = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        completions: dict[int, Completion] = {}
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed)
            for start in range(0, len(prompts), batch_size):
                chosen = by_length[start : start + batch_size]
                batch = sample_batch([prompts[i] for i in chosen], temperature)
                completions.update(zip(chosen, batch, strict=True))
        return [completions[i] for i in range(len(prompts))]

    return sample
