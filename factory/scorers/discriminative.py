"""Scorers with two classes at each separator: one encoding for every backend."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from factory.scorers.scorer import TOO_LONG, SolutionText, no_scores
from factory.training.layouts import Encoded, Layout, LayoutError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NOT_LAID_OUT = "the separator stands in a text"
NOT_FINITE = "the model's numbers are not finite"
Logits = NDArray[np.float32]


class Backend(Protocol):
    """Where a token classifier runs."""

    @property
    def max_length(self) -> int:
        """Tokens that fit."""
        ...

    def logits(self, solutions: Sequence[Encoded]) -> Iterator[tuple[int, Logits]]:
        """(index of a solution, T x 2 logits at its separators), in any order."""
        ...

    def describe(self) -> dict[str, Any]:
        """Name, device and type of numbers."""
        ...

    def close(self) -> None:
        """Let go of the model."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """How a checkpoint is fed and read."""

    model: str
    layout: Layout
    revision: str | None = None
    """Of a model on the Hub."""
    runs_remote_code: bool = False
    good_label: int = 1
    """Its class of good steps."""


class DiscriminativeScorer:
    """P(good) is the softmax of the two classes at the step's separator."""

    def __init__(self, head: Head, tokenizer: "PreTrainedTokenizerBase", backend: Backend) -> None:
        """Raises InputError for a separator that cannot be found in the tokenised text."""
        head.layout.separator_id(tokenizer)
        self.unscored: Counter[str] = Counter()
        self._head, self._tokenizer, self._backend = head, tokenizer, backend

    def score(self, problem: str, steps: Sequence[str]) -> list[float]:
        return self.score_all([SolutionText(problem=problem, steps=tuple(steps))])[0]

    def score_all(self, solutions: Sequence[SolutionText]) -> list[list[float]]:
        found = [no_scores(solution) for solution in solutions]
        encoded = [(i, e) for i, s in enumerate(solutions) if (e := self._encoded(s)) is not None]
        for place, logits_T2 in self._backend.logits([e for _, e in encoded]):
            index, entry = encoded[place]
            assert logits_T2.shape == (len(entry.separator_positions), 2)
            if not np.isfinite(logits_T2).all():
                self.unscored[NOT_FINITE] += 1
                continue
            found[index] = [float(p) for p in p_good(logits_T2, self._head.good_label)]
        return found

    def describe(self) -> dict[str, Any]:
        layout = self._head.layout
        return {
            "model": self._head.model,
            "revision": self._head.revision,
            "kind": "discriminative",
            "layout": layout.name,
            "separator": layout.separator,
            "system": layout.system,
            **self._backend.describe(),
            **({"runs_remote_code": True} if self._head.runs_remote_code else {}),
        }

    def close(self) -> None:
        self._backend.close()

    def _encoded(self, solution: SolutionText) -> Encoded | None:
        layout = self._head.layout
        try:
            encoded = layout.encode(self._tokenizer, solution.problem, solution.steps)
        except LayoutError:
            self.unscored[NOT_LAID_OUT] += 1
            return None
        if len(encoded.input_ids) > self._backend.max_length:
            self.unscored[TOO_LONG] += 1
            return None
        return encoded


def p_good(logits_T2: Logits, good_label: int) -> NDArray[np.float64]:
    """Softmax of two classes, in float64."""
    logits = logits_T2.astype(np.float64)
    difference = logits[:, 1 - good_label] - logits[:, good_label]
    return np.asarray(1 / (1 + np.exp(np.clip(difference, -700, 700))))
