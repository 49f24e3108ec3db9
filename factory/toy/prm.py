"""A small PRM from labelled rows of the toy world, and what the shipped benchmarks say of it.

The real training module and the real evaluation, with settings that suit the shipped backbone.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.toy.benchmark_files import BENCHMARK_DIR

BACKBONE_DIR = Path(__file__).parent / "prm_backbone"
SUBSET = "word"
"""The family whose solutions choose the threshold; the others are held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning:
    """Every weight learns; AdamW without weight decay; `batch_size` solutions a step."""

    learning_rate: float
    epochs: int = 2
    batch_size: int = 16
    warm_up_share: float = 0.1


RATE_PER_SOLUTION, MIN_RATE, MAX_RATE = 5e-8, 1e-5, 1e-4
"""Few labels, some of them wrong, undo what the backbone knows unless they move it little."""


def fine_tuning(num_solutions: int) -> FineTuning:
    """Settings that fit a number of labelled solutions and two minutes on two cores.

    Chosen on 400 problems, solved at temperature 1.2, of which none is in the shipped benchmarks,
    for labels of recipes (129 and 528 solutions) and of the oracle (1,000 and 3,000).
    """
    rate = min(MAX_RATE, max(MIN_RATE, RATE_PER_SOLUTION * num_solutions))
    return FineTuning(learning_rate=rate)


def train_toy_prm(
    data: Path,
    out: Path,
    *,
    num_solutions: int,
    seed: int,
    say: Callable[[str], Any],
    backbone: Path = BACKBONE_DIR,
    suits: FineTuning | None = None,
) -> None:
    """The backbone fine-tuned on a published dataset, or a file of rows, with some labels.

    The settings are those that suit the number of solutions, unless others are given.
    """
    from factory.training.settings import TrainSettings
    from factory.training.train import train

    suits = suits or fine_tuning(num_solutions)
    num_steps = suits.epochs * -(-num_solutions // suits.batch_size)
    settings = TrainSettings(
        data=str(data),
        model=str(backbone),
        out=out,
        device="cpu",
        system="",  # the backbone was pretrained without
        learning_rate=suits.learning_rate,
        epochs=suits.epochs,
        batch_size=suits.batch_size,
        micro_batch_size=suits.batch_size,
        warmup_steps=round(suits.warm_up_share * num_steps),
        seed=seed,
    )
    with _without_progress():
        train(settings, say=say)


def score_toy_prm(
    model: Path, out: Path | None = None, benchmarks: Path = BENCHMARK_DIR
) -> dict[str, Any]:
    """`processbench` and `best_of` as `prm-factory eval` reports them, and writes them to `out`."""
    from factory.evaluation.run import evaluate, read_parts
    from factory.evaluation.settings import EvalSettings, toy_inputs
    from factory.scorers import open_scorer

    parts = read_parts(toy_inputs(folder=benchmarks), EvalSettings(threshold_subset=SUBSET))
    with _without_progress():
        scorer = open_scorer(str(model), backend="transformers", device="cpu")
    try:
        return evaluate(scorer, parts, out)
    finally:
        scorer.close()


@contextmanager
def _without_progress() -> Iterator[None]:
    """transformers draws a bar for each file and prints every tenth loss."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    with redirect_stdout(io.StringIO()):
        yield
    logging.enable_progress_bar()
