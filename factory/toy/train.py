"""Train the tiny model from scratch: `python -m factory.toy.train --out DIR`.

Matrices learn by Muon, embeddings and norms by AdamW; the rate warms up, then falls to nothing.
`--start` goes on from the weights of an earlier run. The same seed gives the same data in the same
order.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch.nn import functional
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from factory.toy.measure import measure, report
from factory.toy.muon import Muon
from factory.toy.network import build_network
from factory.toy.samples import Sample, make_chunk
from factory.toy.solver import HUMAN, Habits
from factory.toy.token_batches import endless_groups, padded
from factory.toy.tokenizer import build_tokenizer

MATRIX_RATE, OTHER_RATE = 0.007, 0.002
WARM_UP_STEPS = 100
NEVER = -100


ChunkWriter = Callable[[int, float], list[Sample]]
"""(index of a chunk, progress from 0 to 1) -> its samples; sent to another process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Right-padded ids and targets, both (samples, length); NEVER is where no loss is taken."""

    ids: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run is asked to do. `start` is a folder with weights to go on from, if any."""

    tokens: int
    seed: int
    start: Path | None = None
    peak_rate: float = 1.0
    habits: Habits = HUMAN


def batches(write: ChunkWriter, run: Run, pad_id: int) -> Iterator[Batch]:
    """Batches without end.

    Weights that are not new have the first half of the curriculum behind them.
    """
    paced = write if run.start is None else partial(_in_second_half, write)
    for group in endless_groups(paced, num_tokens=run.tokens, seed=run.seed):
        yield _batch(group, pad_id)


def _in_second_half(write: ChunkWriter, index: int, progress: float) -> list[Sample]:
    return write(index, (1 + progress) / 2)


def _batch(group: Sequence[Sample], pad_id: int) -> Batch:
    """Every target is the token that comes next, where that is taught."""
    taught = [
        [*(i if t else NEVER for i, t in zip(s.ids[1:], s.is_taught[1:], strict=True)), NEVER]
        for s in group
    ]
    return Batch(ids=padded([s.ids for s in group], pad_id), targets=padded(taught, NEVER))


def batch_loss(network: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy of the taught tokens; padding lies to the right, so no mask is needed."""
    hidden = network.model(input_ids=batch.ids, use_cache=False).last_hidden_state
    is_taught = batch.targets != NEVER
    return functional.cross_entropy(network.lm_head(hidden[is_taught]), batch.targets[is_taught])


def learning_rate_share(step: int, progress: float) -> float:
    """Warm up over the first steps, then fall in a line to nothing at the end."""
    return min(1.0, (step + 1) / WARM_UP_STEPS) * max(0.0, 1 - progress)


def train(run: Run) -> LlamaForCausalLM:
    """The network trained from nothing, or further."""
    tokenizer = build_tokenizer()
    network = build_network(tokenizer, run.seed)
    if run.start is not None:
        network.load_state_dict(LlamaForCausalLM.from_pretrained(run.start).state_dict())
    write = partial(make_chunk, seed=run.seed, habits=run.habits)
    learn(network, batches(write, run, tokenizer.pad_token_id), run)
    return network


def learn(network: LlamaForCausalLM, data: Iterable[Batch], run: Run) -> None:
    """Train in place until the run's tokens are read; prints a line every two hundred steps."""
    matrices = [p for n, p in network.named_parameters() if n.endswith("_proj.weight")]
    others = [p for n, p in network.named_parameters() if not n.endswith("_proj.weight")]
    optimizers = [
        Muon(matrices, lr=MATRIX_RATE, weight_decay=0.1),
        torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    rates = [MATRIX_RATE, OTHER_RATE]
    began, num_tokens, mean_loss = time.perf_counter(), 0, 0.0
    for step, batch in enumerate(data):
        share = run.peak_rate * learning_rate_share(step, num_tokens / run.tokens)
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * share
            optimizer.zero_grad(set_to_none=True)
        loss = batch_loss(network, batch)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        num_tokens += batch.ids.numel()
        mean_loss = loss.item() if step == 0 else 0.99 * mean_loss + 0.01 * loss.item()
        if step % 200 == 0:
            elapsed_s = time.perf_counter() - began
            eta_s = elapsed_s * (run.tokens / num_tokens - 1)
            print(
                f"step {step}  loss {mean_loss:.3f}  tokens {num_tokens / 1e6:.2f} M"
                f"  elapsed {elapsed_s:.0f} s  eta {eta_s:.0f} s",
                flush=True,
            )
        if num_tokens >= run.tokens:
            break
    print(f"trained on {num_tokens} tokens in {time.perf_counter() - began:.0f} s", flush=True)


def save(network: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """A folder that transformers and vLLM load as it is; a model card there is left alone."""
    network.eval().save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--tokens", type=int, default=20_000_000, help="training tokens, in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, help="go on from the weights in this folder")
    parser.add_argument("--peak-rate", type=float, default=1.0, help="share of the learning rates")
    parser.add_argument("--error-rate", type=float, default=HUMAN.error_rate, help="per step")
    parser.add_argument("--repair-rate", type=float, default=HUMAN.repair_rate, help="per error")
    arguments = parser.parse_args()
    run = Run(
        tokens=arguments.tokens,
        seed=arguments.seed,
        start=arguments.start,
        peak_rate=arguments.peak_rate,
        habits=Habits(error_rate=arguments.error_rate, repair_rate=arguments.repair_rate),
    )
    save(train(run), build_tokenizer(), arguments.out)
    print(report(measure(arguments.out, num_problems=300, num_samples=2)))


if __name__ == "__main__":
    main()
