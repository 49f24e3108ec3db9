"""Train the PRM backbone: `python -m factory.toy.train_prm_backbone --out DIR`.

ELECTRA for solutions (arXiv 2003.10555): fresh layers on top of the shipped solver learn to say of
every token and of every line whether the generator has replaced it. The solver's layers know which
token should come; the layers above can compare that with the one that stands there. They stay as
they are, which halves the work, unless `--all-layers` is given: then they learn too and keep their
next-token loss. Of the heads only the last is kept, as the two classes of a PRM to begin with.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from random import Random

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    LlamaForCausalLM,
    LlamaForTokenClassification,
    LlamaModel,
    PreTrainedTokenizerFast,
)

from factory.toy import MODEL_DIR
from factory.toy.muon import Muon
from factory.toy.prm_samples import SEPARATOR, UNKNOWN, DetectionSample, make_detection_chunk
from factory.toy.samples import CHUNK_TOKENS
from factory.toy.tokenizer import build_tokenizer
from factory.toy.train import learning_rate_share

BATCH_TOKENS = 1024
MATRIX_RATE, OTHER_RATE = 0.007, 0.002
FRESH_LAYERS = 3
SOLVER_GAP = "\u010a\u010a"
"""The blank line in the vocabulary's spelling; the separator starts as its equal."""
NEXT_WEIGHT, REPLACED_WEIGHT, BROKEN_WEIGHT = 0.5, 3.0, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run is asked to do. `start` is a checkpoint of an earlier run, if any."""

    tokens: int
    seed: int
    start: Path | None = None
    peak_rate: float = 1.0
    all_layers: bool = False
    minutes: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Right-padded, all (samples, length); UNKNOWN is where no loss is taken."""

    ids: torch.Tensor
    next_ids: torch.Tensor
    is_replaced: torch.Tensor
    is_broken: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Mean cross-entropies: next token, replaced token or line, broken so far."""

    next: torch.Tensor
    replaced: torch.Tensor
    broken: torch.Tensor

    def total(self, all_layers: bool) -> torch.Tensor:
        detection = REPLACED_WEIGHT * self.replaced + BROKEN_WEIGHT * self.broken
        return detection + NEXT_WEIGHT * self.next if all_layers else detection


class Detector(nn.Module):
    """The backbone with the heads of its pretraining; fresh layers begin by changing nothing."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__()
        solver = LlamaForCausalLM.from_pretrained(MODEL_DIR)
        config = solver.config
        self.num_solver_layers = config.num_hidden_layers
        config.num_hidden_layers += FRESH_LAYERS
        config.tie_word_embeddings = False
        config.architectures = None
        self.backbone = LlamaModel(config)
        self.backbone.load_state_dict(solver.model.state_dict(), strict=False)
        for layer in self.backbone.layers[self.num_solver_layers :]:
            for name, weight in layer.named_parameters():
                if name.endswith("_proj.weight"):
                    nn.init.normal_(weight, std=0.5 / weight.shape[1] ** 0.5)
            nn.init.zeros_(layer.self_attn.o_proj.weight)
            nn.init.zeros_(layer.mlp.down_proj.weight)
        self.prediction_norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.prediction_norm.load_state_dict(solver.model.norm.state_dict())
        self.heads = nn.Linear(config.hidden_size, 2)
        separator, gap = tokenizer.convert_tokens_to_ids([SEPARATOR, SOLVER_GAP])
        with torch.no_grad():
            self.backbone.embed_tokens.weight[separator] = self.backbone.embed_tokens.weight[gap]

    def freeze_solver(self) -> None:
        solver_layers = self.backbone.layers[: self.num_solver_layers]
        for module in (self.backbone.embed_tokens, *solver_layers, self.prediction_norm):
            module.requires_grad_(False)

    def losses(self, batch: Batch) -> Losses:
        output = self.backbone(input_ids=batch.ids, use_cache=False, output_hidden_states=True)
        is_taught = batch.next_ids != UNKNOWN
        solved = self.prediction_norm(output.hidden_states[self.num_solver_layers][is_taught])
        predicted = functional.linear(solved, self.backbone.embed_tokens.weight)
        verdicts = self.heads(output.last_hidden_state)
        return Losses(
            next=functional.cross_entropy(predicted, batch.next_ids[is_taught]),
            replaced=_binary(verdicts[..., 0], batch.is_replaced),
            broken=_binary(verdicts[..., 1], batch.is_broken),
        )


def _binary(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Zero where nothing is known, as `is_broken` of a batch of drills."""
    known = targets != UNKNOWN
    losses = functional.binary_cross_entropy_with_logits(
        logits[known], targets[known].float(), reduction="sum"
    )
    return losses / known.sum().clamp(min=1)


def batches(run: Run, pad_id: int) -> Iterator[Batch]:
    """Batches without end; the next chunk is written meanwhile."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as writer:

        def order(index: int) -> Future[list[DetectionSample]]:
            share = min(1.0, index * CHUNK_TOKENS / run.tokens)
            return writer.submit(make_detection_chunk, index, share, run.seed)

        coming = order(0)
        for index in count():
            samples, coming = coming.result(), order(index + 1)
            yield from _cut(samples, Random(f"toy batches {run.seed} {index}"), pad_id)


def _cut(samples: list[DetectionSample], rng: Random, pad_id: int) -> Iterator[Batch]:
    groups: list[list[DetectionSample]] = [[]]
    for sample in sorted(samples, key=lambda s: len(s.ids)):
        if groups[-1] and (len(groups[-1]) + 1) * len(sample.ids) > BATCH_TOKENS:
            groups.append([])
        groups[-1].append(sample)
    rng.shuffle(groups)
    for group in groups:
        yield Batch(
            ids=_pad([s.ids for s in group], pad_id),
            next_ids=_pad([s.next_ids for s in group], UNKNOWN),
            is_replaced=_pad([s.is_replaced for s in group], UNKNOWN),
            is_broken=_pad([s.is_broken for s in group], UNKNOWN),
        )


def _pad(rows: list[tuple[int, ...]], value: int) -> torch.Tensor:
    length = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (length - len(row))] for row in rows])


def train(run: Run, out: Path) -> Detector:
    """Train; another run can go on from `out/detector.pt`."""
    torch.manual_seed(run.seed)
    tokenizer = build_tokenizer()
    detector = Detector(tokenizer)
    if run.start is not None:
        detector.load_state_dict(torch.load(run.start))
    if not run.all_layers:
        detector.freeze_solver()
    learn(detector, run, tokenizer.pad_token_id)
    torch.save(detector.state_dict(), out / "detector.pt")
    return detector


def learn(detector: Detector, run: Run, pad_id: int) -> None:
    """Train in place until tokens or minutes are spent; prints a line every two hundred steps."""
    named = [(n, p) for n, p in detector.named_parameters() if p.requires_grad]
    matrices = [p for n, p in named if n.endswith("_proj.weight")]
    others = [p for n, p in named if not n.endswith("_proj.weight")]
    muon = Muon(matrices, lr=MATRIX_RATE, weight_decay=0.1)
    adam = torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    began, num_tokens, progress, mean = time.perf_counter(), 0, 0.0, torch.zeros(3)
    for step, batch in enumerate(batches(run, pad_id)):
        share = run.peak_rate * learning_rate_share(step, progress)
        muon.param_groups[0]["lr"] = MATRIX_RATE * share
        adam.param_groups[0]["lr"] = OTHER_RATE * share
        losses = detector.losses(batch)
        detector.zero_grad(set_to_none=True)
        losses.total(run.all_layers).backward()
        muon.step()
        adam.step()
        num_tokens += batch.ids.numel()
        elapsed_s = time.perf_counter() - began
        progress = max(num_tokens / run.tokens, elapsed_s / 60 / run.minutes)
        known = torch.stack([losses.next, losses.replaced, losses.broken]).detach()
        mean = known if step == 0 else 0.99 * mean + 0.01 * known
        if step % 200 == 0:
            print(
                f"step {step}  next {mean[0]:.3f}  replaced {mean[1]:.4f}  broken {mean[2]:.3f}"
                f"  tokens {num_tokens / 1e6:.2f} M  elapsed {elapsed_s:.0f} s",
                flush=True,
            )
        if progress >= 1:
            break
    print(f"trained on {num_tokens} tokens in {elapsed_s:.0f} s", flush=True)


def save(detector: Detector, out: Path) -> None:
    """A folder that `AutoModelForTokenClassification` loads; a model card there is left alone.

    The head of "broken so far" becomes two classes: 0 from the first replaced line on, 1 before.
    """
    config = detector.backbone.config
    config.num_labels = 2
    network = LlamaForTokenClassification(config)
    network.model.load_state_dict(detector.backbone.state_dict())
    weight, bias = detector.heads.weight[1] / 2, detector.heads.bias[1] / 2
    with torch.no_grad():
        network.score.weight.copy_(torch.stack([weight, -weight]))
        network.score.bias.copy_(torch.stack([bias, -bias]))
    network.eval().save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)
    build_tokenizer().save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the backbone")
    parser.add_argument("--tokens", type=int, default=10_000_000, help="training tokens, in all")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="at most, of training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, help="go on from this detector.pt")
    parser.add_argument("--peak-rate", type=float, default=1.0, help="share of the learning rates")
    parser.add_argument("--all-layers", action="store_true", help="train the solver's layers too")
    arguments = parser.parse_args()
    run = Run(
        tokens=arguments.tokens,
        seed=arguments.seed,
        start=arguments.start,
        peak_rate=arguments.peak_rate,
        all_layers=arguments.all_layers,
        minutes=arguments.minutes,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    save(train(run, arguments.out), arguments.out)


if __name__ == "__main__":
    main()
