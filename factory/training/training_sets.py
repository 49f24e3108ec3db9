"""Training sets: all examples made first and kept in a file, or made while they are streamed."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch.utils.data import IterableDataset, Sampler

from factory.errors import InputError
from factory.training.examples import Tally
from factory.training.run_folder import EXAMPLES, EXAMPLES_UNFINISHED, run_digest
from factory.training.settings import TrainSettings
from factory.training.sources import Source
from schemas.files import make_folder

MakeExample = Callable[[Mapping[str, Any], Tally], Mapping[str, Any] | None]
EXAMPLES_WRITTEN_TOGETHER = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """Examples, and a function that says what became of the rows read so far."""

    dataset: Any
    """A stream, or a list that a blank example ends; see `LengthSampler`."""
    tally: Callable[[], Tally]


def is_streamed(settings: TrainSettings, source: Source) -> bool:
    """Whether examples are made while training."""
    return source.is_remote if settings.streaming is None else settings.streaming


def steps_for(settings: TrainSettings, source: Source) -> int:
    """How many steps a stream gets. Raises InputError where nobody knows how long it is.

    Rows that are dropped count too: the last pass then begins again a little.
    """
    if settings.max_steps is not None:
        return settings.max_steps
    if source.num_rows is None:
        raise InputError("nobody says how many rows the stream has: add --max-steps")
    assert settings.epochs is not None
    assert settings.batch_size is not None
    return max(1, math.ceil(source.num_rows * settings.epochs / settings.batch_size))


def _steps_over(settings: TrainSettings, num_examples: int) -> int:
    """How many steps whole passes, and a part of one, over a list of examples take."""
    assert settings.epochs is not None
    assert settings.batch_size is not None
    return math.ceil(math.ceil(num_examples / settings.batch_size) * settings.epochs)


def _check_warm_up(settings: TrainSettings, num_steps: int) -> None:
    if settings.warmup_steps >= num_steps:
        raise InputError(
            f"--warmup-steps {settings.warmup_steps} would not end within the run's "
            f"{num_steps:,} steps: give fewer"
        )


def training_set(
    source: Source,
    make: MakeExample,
    schema: pa.Schema,
    settings: TrainSettings,
    blank: Mapping[str, Any],
) -> TrainingSet:
    """A stream, or a file in the run's folder that the main process writes and all map.

    A run that is resumed goes on with the file it made. `blank` is an example that teaches nothing.
    Raises InputError for a warm-up that does not end.
    """
    if is_streamed(settings, source):
        if settings.warmup_steps:
            _check_warm_up(settings, steps_for(settings, source))
        stream = ExampleStream(source, make, seed=settings.seed, buffer=settings.shuffle_buffer)
        return TrainingSet(dataset=stream, tally=lambda: stream.tally)
    from accelerate import PartialState
    from datasets import Dataset, concatenate_datasets

    tally, path = Tally(), settings.out / EXAMPLES
    if PartialState().is_main_process:
        digest = run_digest(settings, source.origin)
        if (kept := kept_tally(path, digest)) is not None:
            tally = kept
        else:
            path.unlink(missing_ok=True)
            tally = write_examples(source, make, schema, path, digest)
    if not path.exists():
        raise InputError(f"the main process made no {path}: all need the same --out")
    examples = Dataset.from_file(str(path))
    if settings.warmup_steps:
        _check_warm_up(settings, settings.max_steps or _steps_over(settings, len(examples)))
    padding = Dataset.from_list([dict(blank)], features=examples.features)
    return TrainingSet(dataset=concatenate_datasets([examples, padding]), tally=lambda: tally)


def kept_tally(path: Path, digest: str) -> Tally | None:
    """The tally of a file of examples; `None` unless it is complete and made from `digest`."""
    told: Mapping[bytes, bytes] = {}
    try:
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
            for _, found in stream.iter_batches_with_custom_metadata():
                told = found or {}
    except (OSError, pa.ArrowInvalid):
        return None
    is_same = told.get(b"digest") == digest.encode()
    return Tally.from_json(json.loads(told[b"tally"])) if is_same else None


def write_examples(
    source: Source, make: MakeExample, schema: pa.Schema, path: Path, digest: str
) -> Tally:
    """Makes every example and writes them as one Arrow file, with the tally and `digest`, which
    names what they were made from, at its end.

    Raises InputError, and leaves nothing, when there is no example.
    """
    tally = Tally()
    make_folder(path.parent)
    temporary = path.with_name(EXAMPLES_UNFINISHED)
    try:
        with pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_stream(file, schema) as stream:
            waiting: list[Mapping[str, Any]] = []
            for example in _examples(source.rows(), make, tally):
                waiting.append(example)
                if len(waiting) == EXAMPLES_WRITTEN_TOGETHER:
                    stream.write_batch(pa.RecordBatch.from_pylist(waiting, schema=schema))
                    waiting.clear()
            end = {"digest": digest, "tally": json.dumps(tally.as_json())}
            last = pa.RecordBatch.from_pylist(waiting, schema=schema)
            stream.write_batch(last, custom_metadata=end)
        check_any(tally)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return tally


class ExampleStream(IterableDataset):
    """Examples without an end: pass after pass over the rows, each in an order of its own.

    Without an end, because a run over a stream ends by its number of steps, and a resumed one then
    skips what was seen whatever pass it was in. The tally counts the first pass.
    """

    def __init__(self, source: Source, make: MakeExample, *, seed: int, buffer: int) -> None:
        self._source = source
        self._make = make
        self._seed = seed
        self._buffer = buffer
        self.tally = Tally()

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        tally = self.tally = Tally()
        turn = 0
        while True:
            rows = self._source.rows(self._seed + turn, self._buffer)
            yield from _examples(rows, self._make, tally)
            check_any(tally)
            turn += 1
            tally = Tally()


class LengthSampler(Sampler[int]):
    """An order for each pass, from seed and pass alone, in which neighbours are about as long.

    Examples are shuffled and cut into the optimizer's batches, and each batch is sorted, so that
    its micro-batches hold examples of one length. Batches as a whole are not sorted by length:
    where steps behind the first error are left out, the short examples are those with an error,
    and batches would swing between good and bad; a step would weigh more in a batch of short
    examples, too, since a batch's loss is the mean over its steps. So nothing is saved where the
    devices together compute a whole batch at a time: all wait for its longest example.

    A resumed run meets the batches that the interrupted one would have met. Each pass is filled up
    with the blank example behind the others, to a multiple of what all devices compute together:
    accelerate would repeat some from the pass's beginning, and they would weigh twice.
    """

    def __init__(
        self, lengths: Sequence[int], *, batch_size: int, together: int, seed: int
    ) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._num_blank = -len(lengths) % together
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths) + self._num_blank

    def __iter__(self) -> Iterator[int]:
        random = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        order = torch.randperm(len(self._lengths), generator=random).tolist()
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            yield from sorted(batch, key=self._lengths.__getitem__, reverse=True)
        yield from [len(self._lengths)] * self._num_blank


def length_sampler(dataset: Any, settings: TrainSettings, num_processes: int) -> LengthSampler:
    """The order of a `TrainingSet` that is no stream."""
    assert settings.batch_size is not None
    return LengthSampler(
        [len(ids) for ids in dataset["input_ids"]][:-1],
        batch_size=settings.batch_size,
        together=settings.micro_batch_size * num_processes,
        seed=settings.seed,
    )


def check_any(tally: Tally) -> None:
    """Raises InputError, with the reasons, when there is nothing to learn from."""
    if not tally.num_examples:
        why = ", ".join(f"{reason} ({n:,})" for reason, n in tally.dropped.most_common())
        raise InputError(f"nothing to learn from in {tally.num_rows:,} rows: {why or 'none'}")


def _examples(
    rows: Iterator[dict[str, Any]], make: MakeExample, tally: Tally
) -> Iterator[Mapping[str, Any]]:
    for row in rows:
        if (example := make(row, tally)) is not None:
            yield example
