"""Two recipes' PRMs on the same problems: the difference of their F1, and how sure it is."""

from collections.abc import Sequence
from math import sqrt
from pathlib import Path

import numpy as np

from factory.bench.training_scores import Z_95, Mean
from factory.evaluation.parts import ProcessBenchPart
from factory.evaluation.processbench import choose_threshold, resampled_f1
from factory.evaluation.progress import kept_scores
from factory.evaluation.resampling import Array
from factory.evaluation.run import read_parts
from factory.evaluation.settings import EvalSettings, toy_inputs
from factory.toy.prm import SUBSET


def resampled(folders: Sequence[Path], benchmarks: Path) -> list[Array]:
    """For each evaluation kept in a folder: its F1 in every resample of the benchmark's problems.

    The resamples are the same for all.
    """
    parts = read_parts(toy_inputs(folder=benchmarks), EvalSettings(threshold_subset=SUBSET))
    [bench] = [part for part in parts if isinstance(part, ProcessBenchPart)]
    found = []
    for folder in folders:
        scores = kept_scores(folder)
        judged = bench.judged([scores[text] for text in bench.texts()])
        found.append(resampled_f1(judged, choose_threshold(judged, subset=SUBSET)))
    return found


def difference(
    ours: Sequence[Array], theirs: Sequence[Array], values: Sequence[tuple[float, float]]
) -> Mean:
    """Ours less theirs, mean over seeds; `values` are both F1 of each seed, arrays their resamples.

    The error has two parts: that of the problems, which the pairing makes small, and that of the
    seeds, which their number divides.
    """
    gains = [mine - other for mine, other in values]
    of_problems = np.nanvar(np.mean(ours, axis=0) - np.mean(theirs, axis=0))
    of_seeds = np.var(gains, ddof=1) / len(gains) if len(gains) > 1 else 0.0
    half = Z_95 * sqrt(of_problems + of_seeds)
    value = float(np.mean(gains))
    return Mean(value=value, low=value - half, high=value + half)
