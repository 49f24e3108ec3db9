"""A labelled solution as token ids with masses at its separators, and what became of every row.

Steps behind the last one with a target are left out: a causal model's gradient does not depend on
them. Nothing is truncated in silence: an example that is too long is dropped, cut after its last
step that fits, or an error, and each is counted.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from factory.core.teachers.genprm_checks import CODE_OUTPUT
from factory.errors import InputError, shortened
from factory.training.layouts import Encoded, Layout, LayoutError
from factory.training.settings import ERROR, TRUNCATE_AT_STEP, TrainSettings
from factory.training.targets import LabelledSteps, TargetError, labelled_steps

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TOO_LONG = "too long"
NOTHING_TO_LEARN = "no step to learn from"
HAS_SEPARATOR = "the separator in its text"


class Example(TypedDict):
    """What a row of the training set holds; the three last lists have one entry per step."""

    input_ids: list[int]
    positions: list[int]
    good: list[float]
    bad: list[float]


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts while rows stream."""

    num_rows: int = 0
    num_examples: int = 0
    num_tokens: int = 0
    num_trained_tokens: int = 0
    """What a generative model has to write; a discriminative one learns at `num_steps`."""
    num_steps: int = 0
    """Steps with a target."""
    mass_good: float = 0.0
    mass_bad: float = 0.0
    num_truncated: int = 0
    num_unknown_outputs: int = 0
    """Given out as executed by a generative model's text, in a form that is not known."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Rows, by reason."""
    masked: Counter[str] = field(default_factory=Counter)
    """Steps without a target, by reason; those of dropped rows too."""

    def as_json(self) -> dict[str, Any]:
        counts = {name: getattr(self, name) for name in self.__slots__}
        return {n: dict(c) if isinstance(c, Counter) else c for n, c in counts.items()}

    @classmethod
    def from_json(cls, counts: Mapping[str, Any]) -> "Tally":
        return cls(**{n: Counter(c) if isinstance(c, dict) else c for n, c in counts.items()})

    def lines(self) -> list[str]:
        """What a person is told."""
        lines = [
            f"{self.num_rows:,} rows read, {self.num_examples:,} examples of "
            f"{self.num_tokens:,} tokens"
        ]
        if self.num_steps:
            share = self.mass_good / (self.mass_good + self.mass_bad)
            lines.append(f"{self.num_steps:,} steps to learn from, {100 * share:.1f} % good")
        if self.num_trained_tokens:
            lines.append(f"{self.num_trained_tokens:,} tokens to learn to write")
        if self.num_truncated:
            lines.append(f"{self.num_truncated:,} examples cut at --max-length")
        if self.num_unknown_outputs:
            lines.append(
                f"{self.num_unknown_outputs:,} outputs of code without the heading "
                f"{CODE_OUTPUT} between closed blocks: learnt as the model's own words"
            )
        lines += [f"rows dropped: {reason}: {n:,}" for reason, n in self.dropped.most_common()]
        lines += [f"steps masked: {reason}: {n:,}" for reason, n in self.masked.most_common()]
        return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleMaker:
    """Makes examples of published rows; everything but the row is fixed for a run."""

    tokenizer: "PreTrainedTokenizerBase"
    layout: Layout
    settings: TrainSettings
    max_length: int

    def __call__(self, row: Mapping[str, Any], tally: Tally) -> Example | None:
        """The row's example, `None` where it is dropped; counted either way.

        Raises InputError for a broken row, and for one too long where the settings say so.
        """
        tally.num_rows += 1
        try:
            labelled = labelled_steps(row, self.settings)
        except TargetError as error:
            raise InputError(f"row {tally.num_rows:,} of the data: {error}") from error
        tally.masked.update(labelled.masked)
        try:
            return self._example(labelled, tally)
        except LayoutError:
            tally.dropped[HAS_SEPARATOR] += 1
        return None

    def _example(self, labelled: LabelledSteps, tally: Tally) -> Example | None:
        num_steps = _num_useful(labelled, len(labelled.steps))
        if not num_steps:
            tally.dropped[NOTHING_TO_LEARN] += 1
            return None
        encoded = self._encode(labelled, num_steps)
        if len(encoded.input_ids) > self.max_length:
            num_steps = self._num_that_fit(labelled, encoded, tally)
            if not num_steps:
                tally.dropped[TOO_LONG] += 1
                return None
            tally.num_truncated += 1
            encoded = self._encode(labelled, num_steps)
        example = _filled(encoded, labelled)
        tally.num_examples += 1
        tally.num_tokens += len(encoded.input_ids)
        tally.num_steps += sum(target.mass > 0 for target in labelled.targets[:num_steps])
        tally.masked.update(
            {TOO_LONG: n} if (n := sum(t.mass > 0 for t in labelled.targets[num_steps:])) else {}
        )
        tally.mass_good += sum(example["good"])
        tally.mass_bad += sum(example["bad"])
        return example

    def _num_that_fit(self, labelled: LabelledSteps, encoded: Encoded, tally: Tally) -> int:
        """How many steps to keep of a solution that is too long; 0 drops it."""
        if self.settings.too_long == ERROR:
            raise InputError(
                f"row {tally.num_rows:,} of the data has {len(encoded.input_ids):,} tokens, more "
                f"than {self.max_length:,}: raise --max-length, or choose --too-long drop "
                f"({shortened(labelled.problem, 80)})"
            )
        if self.settings.too_long != TRUNCATE_AT_STEP:
            return 0
        room = self.max_length - (len(encoded.input_ids) - encoded.separator_positions[-1] - 1)
        return _num_useful(labelled, sum(p < room for p in encoded.separator_positions))

    def _encode(self, labelled: LabelledSteps, num_steps: int) -> Encoded:
        return self.layout.encode(self.tokenizer, labelled.problem, labelled.steps[:num_steps])


def _num_useful(labelled: LabelledSteps, limit: int) -> int:
    """The number of steps up to the last of the first `limit` that has a target."""
    useful = [i for i, target in enumerate(labelled.targets[:limit], 1) if target.mass > 0]
    return useful[-1] if useful else 0


def _filled(encoded: Encoded, labelled: LabelledSteps) -> Example:
    targets = labelled.targets[: len(encoded.separator_positions)]
    return Example(
        input_ids=list(encoded.input_ids),
        positions=list(encoded.separator_positions),
        good=[target.good for target in targets],
        bad=[target.bad for target in targets],
    )
