"""Critiques drawn from a teacher's folder, their checks run and shown to it, for measuring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.core.teachers.genprm import GenPrmForm
from factory.toy.checks import run_checks
from factory.toy.critiques import user_text
from factory.toy.sampling import open_vllm
from factory.toy.tokenizer import ASSISTANT, END, USER

FORM = GenPrmForm()
MAX_LENGTH = 1024
MAX_SECTION_TOKENS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What was written until the engine paused; `stop` is the string it paused at, if one."""

    text: str
    num_tokens: int
    stop: str | None


PartSampler = Callable[[Sequence[str], float, int], list[Part]]
"""(texts so far, temperature, seed) -> how each goes on; temperature 0 is greedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A teacher's text; `num_tokens` counts what it wrote itself."""

    text: str
    num_tokens: int
    is_ended: bool


def write_critiques(
    sampler: PartSampler,
    solutions: Sequence[tuple[str, Sequence[str]]],
    temperature: float,
    seed: int,
) -> list[Written]:
    """One critique per (question, steps); all go on together, pause by pause."""
    prompts = [f"{USER}{user_text(q, steps)}{END}{ASSISTANT}" for q, steps in solutions]
    written = [Written(text="", num_tokens=0, is_ended=False) for _ in solutions]
    limits = [2 * len(steps) + 2 for _, steps in solutions]
    for turn in range(max(limits)):
        going = [i for i, w in enumerate(written) if not w.is_ended and turn < limits[i]]
        if not going:
            break
        texts = [prompts[i] + written[i].text for i in going]
        parts = sampler(texts, temperature, seed + turn * 1_000_003)
        for i, part in zip(going, parts, strict=True):
            written[i] = _gone_on(written[i], part)
    return written


def _gone_on(before: Written, part: Part) -> Written:
    text = before.text + part.text
    if part.stop == FORM.code_end:
        code = FORM.open_code(text)
        if code is None:
            text += part.stop
        else:
            text = FORM.with_output(text, run_checks([*FORM.code_blocks(text), code]))
    elif part.stop is not None:
        text += part.stop
    is_ended = part.stop is None
    return Written(text=text, num_tokens=before.num_tokens + part.num_tokens, is_ended=is_ended)


def load_vllm(model: Path) -> PartSampler:
    llm = open_vllm(model, MAX_LENGTH, cache_bytes=256 << 20)
    from vllm import SamplingParams

    def sample(texts: Sequence[str], temperature: float, seed: int) -> list[Part]:
        settings = [
            SamplingParams(
                temperature=temperature,
                top_k=0,
                seed=seed + i,
                max_tokens=MAX_SECTION_TOKENS,
                stop=list(FORM.stop),
            )
            for i in range(len(texts))
        ]
        outputs = [o.outputs[0] for o in llm.generate(list(texts), settings, use_tqdm=False)]
        stops = [o.stop_reason if isinstance(o.stop_reason, str) else None for o in outputs]
        return [
            Part(text=o.text, num_tokens=len(o.token_ids), stop=stop)
            for o, stop in zip(outputs, stops, strict=True)
        ]

    return sample


def load_transformers(model: Path) -> PartSampler:
    """Greedy only, one text at a time."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(model).eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    pauses = [row for token, row in tokenizer.get_vocab().items() if token.endswith(FORM.stop)]

    def go_on(text: str) -> Part:
        inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        with torch.inference_mode():
            row = network.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=MAX_SECTION_TOKENS,
                eos_token_id=[tokenizer.eos_token_id, *pauses],
            )[0]
        new = row[inputs["input_ids"].shape[1] :].tolist()
        written = str(tokenizer.decode(new, skip_special_tokens=True))
        stop = next((s for s in FORM.stop if written.endswith(s)), None)
        return Part(text=written.removesuffix(stop or ""), num_tokens=len(new), stop=stop)

    def sample(texts: Sequence[str], temperature: float, seed: int) -> list[Part]:
        if temperature > 0:
            raise ValueError(f"temperature {temperature}: transformers is greedy here")
        return [go_on(text) for text in texts]

    return sample
