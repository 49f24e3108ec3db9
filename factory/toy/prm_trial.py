"""A small PRM from labelled rows of the toy world, and what the shipped benchmarks say of it.

The real training module and the real evaluation, with settings that suit the shipped backbone.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from factory.toy.prm import BACKBONE_DIR, fine_tuning

SUBSET = "word"
"""Whose solutions choose the threshold; the others are held out."""


def train_toy_prm(
    data: Path,
    out: Path,
    *,
    num_solutions: int,
    seed: int,
    say: Callable[[str], Any],
    backbone: Path = BACKBONE_DIR,
) -> Path:
    """The backbone fine-tuned on a published dataset or a file of rows."""
    from factory.training.settings import TrainSettings
    from factory.training.train import train

    suits = fine_tuning(num_solutions)
    num_steps = suits.epochs * -(-num_solutions // suits.batch_size)
    train(
        TrainSettings(
            data=str(data),
            model=str(backbone),
            out=out,
            system="",  # the backbone was pretrained without
            learning_rate=suits.learning_rate,
            epochs=suits.epochs,
            batch_size=suits.batch_size,
            micro_batch_size=suits.batch_size,
            warmup_steps=round(suits.warm_up_share * num_steps),
            seed=seed,
        ),
        say=say,
    )
    return out


def score_toy_prm(model: Path, watch: Callable[[int, int], Any] | None = None) -> dict[str, Any]:
    """`processbench` and `best_of` as `prm-factory eval` reports them."""
    from factory.evaluation.run import evaluate, read_parts
    from factory.evaluation.settings import EvalSettings, toy_inputs
    from factory.scorers import open_scorer

    parts = read_parts(toy_inputs(), EvalSettings(threshold_subset=SUBSET))
    scorer = open_scorer(str(model), backend="transformers", device="cpu")
    try:
        return evaluate(scorer, parts, watch=watch)
    finally:
        scorer.close()
