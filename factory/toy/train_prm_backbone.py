"""Train the PRM backbone: `python -m factory.toy.train_prm_backbone --out DIR`.

ELECTRA for solutions (arXiv 2003.10555): fresh layers on top of the shipped solver learn to say of
every token and of every line whether the generator has replaced it. The solver's layers know which
token should come; the layers above compare that with the one that stands there. The solver's layers
stay as they are: training them too undid in minutes what had been learnt. Of the heads only the
last is kept, as the two classes of a PRM to begin with.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    LlamaForCausalLM,
    LlamaForTokenClassification,
    PreTrainedTokenizerFast,
)

from factory.toy import MODEL_DIR
from factory.toy.muon import Muon
from factory.toy.prm_network import widen
from factory.toy.prm_samples import SEPARATOR, UNKNOWN, make_detection_chunk
from factory.toy.token_batches import endless_groups, padded
from factory.toy.tokenizer import build_tokenizer
from factory.toy.train import learning_rate_share

MATRIX_RATE, OTHER_RATE = 0.007, 0.002
SOLVER_GAP = "\u010a\u010a"
"""The blank line in the vocabulary's spelling; the separator starts as its equal."""
REPLACED_WEIGHT, BROKEN_WEIGHT = 3.0, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run is asked to do. `start` is a checkpoint of an earlier run, if any."""

    tokens: int
    seed: int
    start: Path | None = None
    peak_rate: float = 1.0
    minutes: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Right-padded, all (samples, length); UNKNOWN is where no loss is taken."""

    ids: torch.Tensor
    is_replaced: torch.Tensor
    is_broken: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Mean cross-entropies: replaced token or line, broken so far."""

    replaced: torch.Tensor
    broken: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        return REPLACED_WEIGHT * self.replaced + BROKEN_WEIGHT * self.broken


class Detector(nn.Module):
    """The backbone with the heads of its pretraining."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__()
        solver = LlamaForCausalLM.from_pretrained(MODEL_DIR)
        self.backbone = widen(solver)
        self.heads = nn.Linear(self.backbone.config.hidden_size, 2)
        separator, gap = tokenizer.convert_tokens_to_ids([SEPARATOR, SOLVER_GAP])
        with torch.no_grad():
            taken = solver.model.embed_tokens.weight[gap]
            self.backbone.embed_tokens.weight[separator, : len(taken)] = taken
        solver_layers = self.backbone.layers[: solver.config.num_hidden_layers]
        for module in (self.backbone.embed_tokens, *solver_layers):
            module.requires_grad_(False)

    def losses(self, batch: Batch) -> Losses:
        output = self.backbone(input_ids=batch.ids, use_cache=False)
        verdicts = self.heads(output.last_hidden_state)
        return Losses(
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
    """Batches without end."""
    write = partial(make_detection_chunk, seed=run.seed)
    for group in endless_groups(write, num_tokens=run.tokens, seed=run.seed):
        yield Batch(
            ids=padded([s.ids for s in group], pad_id),
            is_replaced=padded([s.is_replaced for s in group], UNKNOWN),
            is_broken=padded([s.is_broken for s in group], UNKNOWN),
        )


def train(run: Run, out: Path) -> Detector:
    """Train; another run can go on from `out/detector.pt`."""
    torch.manual_seed(run.seed)
    tokenizer = build_tokenizer()
    detector = Detector(tokenizer)
    if run.start is not None:
        detector.load_state_dict(torch.load(run.start))
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
    began, num_tokens, progress, mean = time.perf_counter(), 0, 0.0, torch.zeros(2)
    for step, batch in enumerate(batches(run, pad_id)):
        share = run.peak_rate * learning_rate_share(step, progress)
        muon.param_groups[0]["lr"] = MATRIX_RATE * share
        adam.param_groups[0]["lr"] = OTHER_RATE * share
        losses = detector.losses(batch)
        detector.zero_grad(set_to_none=True)
        losses.total.backward()
        muon.step()
        adam.step()
        num_tokens += batch.ids.numel()
        elapsed_s = time.perf_counter() - began
        progress = max(num_tokens / run.tokens, elapsed_s / 60 / run.minutes)
        known = torch.stack([losses.replaced, losses.broken]).detach()
        mean = known if step == 0 else 0.99 * mean + 0.01 * known
        if step % 200 == 0:
            print(
                f"step {step}  replaced {mean[0]:.4f}  broken {mean[1]:.4f}"
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
    arguments = parser.parse_args()
    run = Run(
        tokens=arguments.tokens,
        seed=arguments.seed,
        start=arguments.start,
        peak_rate=arguments.peak_rate,
        minutes=arguments.minutes,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    save(train(run, arguments.out), arguments.out)


if __name__ == "__main__":
    main()
