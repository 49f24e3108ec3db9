"""Trains a model with two classes at each separator, by transformers' Trainer.

Examples are padded, not packed: packed neighbours would see one another unless the attention
kernel keeps them apart, and only some do. Neighbours of about the same length waste little.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from transformers import TrainerCallback, TrainingArguments, set_seed

from factory.training.arguments import training_arguments
from factory.training.base_model import with_digest
from factory.training.examples import Example, ExampleMaker
from factory.training.layouts import Layout, add_separator, layout_like
from factory.training.losses import GOOD, Collator
from factory.training.models import (
    check_head,
    give_row,
    load_classifier,
    load_tokenizer,
    max_length_of,
    own_prm_file,
    with_adapters,
)
from factory.training.outcome import Say, Trained, finish, say_all
from factory.training.prm_file import DISCRIMINATIVE, PrmFile
from factory.training.processes import check_processes
from factory.training.run_folder import (
    check_folder,
    last_checkpoint,
    package_versions,
    write_run,
)
from factory.training.settings import TrainSettings
from factory.training.sources import open_source
from factory.training.targets import COLUMNS
from factory.training.trainer import PrmTrainer
from factory.training.training_sets import (
    is_streamed,
    steps_for,
    training_set,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SCHEMA = pa.schema(
    {
        "input_ids": pa.list_(pa.int32()),
        "positions": pa.list_(pa.int32()),
        "good": pa.list_(pa.float32()),
        "bad": pa.list_(pa.float32()),
    }
)
BLANK = Example(input_ids=[0], positions=[0], good=[0.0], bad=[0.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Separated:
    """A tokenizer and the layout whose separator it knows."""

    tokenizer: "PreTrainedTokenizerBase"
    layout: Layout
    separator: int
    is_added: bool
    """Whether the tokenizer did not have the separator."""
    prm: PrmFile | None
    """Of the model that is started from."""


def train_discriminative(
    settings: TrainSettings, say: Say, callbacks: Sequence[TrainerCallback] = ()
) -> Trained:
    """Trains and saves, by settings whose schedule is filled in; see `factory.training.train`."""
    text = separated(settings)
    check_head(settings, text.prm)
    if text.layout != Layout():
        layout = text.layout
        say(f"layout {layout.name}, separator {layout.separator!r}, system text {layout.system!r}")
    source = open_source(
        settings.data,
        part=settings.part,
        split=settings.split,
        columns=COLUMNS,
        default_part=settings.default_part,
    )
    settings = with_digest(settings)
    check_folder(settings, source.origin)
    steps = steps_for(settings, source) if is_streamed(settings, source) else settings.max_steps
    arguments = TrainingArguments(**training_arguments(settings, steps))
    check_processes(arguments.world_size, arguments.n_gpu)
    make = ExampleMaker(
        tokenizer=text.tokenizer,
        layout=text.layout,
        settings=settings,
        max_length=max_length_of(settings),
    )
    with arguments.main_process_first(local=False):
        data = training_set(source, make, SCHEMA, settings, BLANK)
        write_run(settings, source.origin)
    if not is_streamed(settings, source):
        say_all(data.tally().lines(), say)
    prm = PrmFile(
        kind=DISCRIMINATIVE,
        layout=text.layout.name,
        separator=text.layout.separator,
        system=text.layout.system,
        good_label=GOOD,
        data={**source.origin, "labels": settings.labels},
        settings=settings.learnt_from(),
        versions=package_versions(),
    )
    trainer = PrmTrainer(
        model=_model(settings, text, say),
        args=arguments,
        train_dataset=data.dataset,
        data_collator=Collator(pad_id=text.tokenizer.pad_token_id or 0),
        processing_class=text.tokenizer,
        callbacks=list(callbacks),
        settings=settings,
        prm=prm,
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(settings))
    tally = data.tally()
    if is_streamed(settings, source):
        say_all(tally.lines(), say)
    counts = {"counts": tally.as_json()}
    return finish(trainer, settings, replace(prm, data=prm.data | counts), say)


def separated(settings: TrainSettings) -> Separated:
    """The model's tokenizer, with the layout's separator added if it has to be. Of a PRM the layout
    is its own but for what is given.

    Raises InputError for a separator that does not do.
    """
    tokenizer = load_tokenizer(settings)
    prm = own_prm_file(settings)
    layout = layout_like(
        prm.as_layout if prm is not None and prm.kind == DISCRIMINATIVE else Layout(),
        name=settings.layout,
        separator=settings.separator,
        system=settings.system,
    )
    is_added = add_separator(tokenizer, layout)
    separator = layout.separator_id(tokenizer)
    return Separated(
        tokenizer=tokenizer, layout=layout, separator=separator, is_added=is_added, prm=prm
    )


def _model(settings: TrainSettings, text: Separated, say: Say) -> Any:
    """The classifier; what is drawn at random, head and adapters, is drawn from the run's seed."""
    set_seed(settings.seed)
    model = load_classifier(settings, say)
    if text.is_added:
        say(f"{text.layout.separator!r} is new to the model: it gets token {text.separator}")
    give_row(model, text.separator, is_new=text.is_added)
    if not settings.lora_rank:
        return model
    new_token = text.separator if text.is_added else None
    return with_adapters(model, settings, task="TOKEN_CLS", new_token=new_token)
