"""Trains a model that writes its judgements, by TRL's SFTTrainer on ids and labels of our own.

Examples are padded, not packed, for the reason `factory.training.discriminative` gives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pyarrow as pa
from transformers import TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer

from factory.errors import InputError
from factory.training.arguments import training_arguments
from factory.training.base_model import with_digest
from factory.training.conversations import (
    COLUMNS,
    UNTRAINED,
    ConversationMaker,
    TokenExample,
    form_of,
    has_rationale,
    messages_of,
)
from factory.training.loop import OrderedTrainer
from factory.training.models import (
    load_language_model,
    load_tokenizer,
    max_length_of,
    with_adapters,
)
from factory.training.outcome import Say, Trained, finish, say_all
from factory.training.prm_file import GENERATIVE, PrmFile
from factory.training.processes import check_processes
from factory.training.run_folder import (
    check_folder,
    last_checkpoint,
    package_versions,
    write_run,
)
from factory.training.settings import GENPRM, THINKPRM, TRUNCATE_AT_STEP, TrainSettings
from factory.training.sources import Source, open_source
from factory.training.targets import TargetError
from factory.training.training_sets import (
    ExampleStream,
    is_streamed,
    steps_for,
    training_set,
)
from factory.training.turns import Context, contexts

SCHEMA = pa.schema({"input_ids": pa.list_(pa.int32()), "labels": pa.list_(pa.int32())})
BLANK = TokenExample(input_ids=[0], labels=[UNTRAINED])
LOOKED_AT = 200
"""Rows from which is told how many examples a stream has."""


def train_generative(
    settings: TrainSettings, say: Say, callbacks: Sequence[TrainerCallback] = ()
) -> Trained:
    """Trains and saves; the schedule is that of the rows' form. See `factory.training.train`."""
    source = open_source(
        settings.data,
        part=settings.part,
        split=settings.split,
        columns=COLUMNS,
        default_part=settings.default_part,
    )
    first = next((row for row in source.rows() if has_rationale(row)), {})
    form = form_of(first)
    system = _system_of(first, form)
    settings = settings.with_schedule(form)
    if form == THINKPRM and settings.too_long == TRUNCATE_AT_STEP:
        raise InputError("a chain that is cut judges nothing: choose --too-long drop or error")
    settings = with_digest(settings)
    check_folder(settings, source.origin)
    tokenizer = load_tokenizer(settings)
    if tokenizer.eos_token is None:
        raise InputError(f"the tokenizer of {settings.model} has no token that ends a text")
    if form == GENPRM:
        source = with_contexts(source, tokenizer)
    make = ConversationMaker(
        tokenizer=tokenizer, settings=settings, form=form, max_length=max_length_of(settings)
    )
    steps = steps_for(settings, source) if is_streamed(settings, source) else settings.max_steps
    arguments = SFTConfig(
        **training_arguments(settings, steps),
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    check_processes(arguments.world_size, arguments.n_gpu)
    with arguments.main_process_first(local=False):
        data = training_set(source, make, SCHEMA, settings, BLANK)
        write_run(settings, source.origin)
    if not is_streamed(settings, source):
        say_all(data.tally().lines(), say)
    set_seed(settings.seed)
    model: Any = load_language_model(settings)
    if settings.lora_rank:
        model = with_adapters(model, settings, task="CAUSAL_LM")
    prm = PrmFile(
        kind=GENERATIVE,
        form=form,
        system=system,
        data=dict(source.origin),
        settings=settings.learnt_from(),
        versions=package_versions(),
    )
    trainer = TextTrainer(
        model=model,
        args=arguments,
        train_dataset=_for_trl(data.dataset),
        processing_class=tokenizer,
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


class TextTrainer(OrderedTrainer, SFTTrainer):
    """SFTTrainer with our order and our stop."""


def _for_trl(dataset: Any) -> Any:
    """A stream as TRL wants it: a dataset of `datasets`, not of torch."""
    if not isinstance(dataset, ExampleStream):
        return dataset
    from datasets import Features, IterableDataset

    return IterableDataset.from_generator(
        dataset.__iter__, features=Features.from_arrow_schema(SCHEMA)
    )


def with_contexts(source: Source, tokenizer: Any) -> Source:
    """A row for every context of every conversation; how many that makes is told from the first."""

    def split(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        found = [c for turns in rows["conversations"] for c in _contexts_of(turns, tokenizer)]
        return {
            "conversations": [list(c.messages) for c in found],
            "learnt_from": [c.learnt_from for c in found],
        }

    first = [row["conversations"] for row in islice(source.rows(), LOOKED_AT)]
    many = len(split({"conversations": first})["learnt_from"]) / len(first)
    return replace(
        source,
        dataset=source.dataset.select_columns(["conversations"]).map(
            split, batched=True, batch_size=100
        ),
        num_rows=None if source.num_rows is None else round(source.num_rows * many),
    )


def _contexts_of(turns: Any, tokenizer: Any) -> list[Context]:
    """What has no turns, or no words for them, passes as it is: making its example tells why."""
    try:
        return contexts(tokenizer, messages_of({"conversations": turns}, GENPRM))
    except TargetError:
        return [Context(messages=turns)]


def _system_of(row: Mapping[str, Any], form: str) -> str | None:
    """What a conversation begins with; a chain's system text is the scorer's own."""
    if form == THINKPRM:
        return None
    try:
        opening = messages_of(row, form)[0]
    except TargetError as error:
        raise InputError(f"the first rationale of the data: {error}") from error
    return opening["content"] if opening["role"] == "system" else None
