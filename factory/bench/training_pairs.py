"""Two recipes' PRMs on the same problems: how they differ, and how sure that is."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from factory.bench.training_scores import F1, METHODS, Mean, SeedSpread
from factory.evaluation.best_of import resampled_accuracies
from factory.evaluation.parts import BestOfPart, ProcessBenchPart
from factory.evaluation.processbench import choose_threshold, resampled_held_out_f1
from factory.evaluation.progress import kept_scores
from factory.evaluation.resampling import Array
from factory.evaluation.run import read_parts
from factory.evaluation.settings import EvalSettings, toy_inputs
from factory.toy.prm import SUBSET


def resampled(folders: Sequence[Path], benchmarks: Path) -> list[dict[str, Array]]:
    """For each evaluation kept in a folder: its values in every resample of the problems.

    The resamples are the same for all.
    """
    parts = read_parts(toy_inputs(folder=benchmarks), EvalSettings(threshold_subset=SUBSET))
    [bench] = [part for part in parts if isinstance(part, ProcessBenchPart)]
    [best_of] = [part for part in parts if isinstance(part, BestOfPart)]
    found = []
    for folder in folders:
        scores = kept_scores(folder)
        judged = bench.judged([scores[text] for text in bench.texts()])
        sampled = best_of.sampled([scores[text] for text in best_of.texts()])
        accuracies = resampled_accuracies(sampled.problems)
        values = {name: accuracies[name] for name in METHODS}
        values[F1] = resampled_held_out_f1(judged, choose_threshold(judged, subset=SUBSET))
        found.append(values)
    return found


def difference(
    ours: Sequence[Array],
    theirs: Sequence[Array],
    values: Sequence[tuple[float, float]],
    spread: SeedSpread,
    seed_share: float,
) -> Mean:
    """Ours less theirs, mean over seeds; `values` are both of each seed, arrays their resamples.

    The error has two parts: that of the problems, which the pairing makes small, and that of the
    seeds of both, whose shares add up to `seed_share`.
    """
    value = float(np.mean([mine - other for mine, other in values]))
    of_problems = float(np.nanvar(np.mean(ours, axis=0) - np.mean(theirs, axis=0)))
    half = spread.half_width(of_problems, seed_share)
    return Mean(value=value, low=value - half, high=value + half)
