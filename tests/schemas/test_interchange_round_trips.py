"""Every format: what is kept of a solution comes back, and what is not kept is named."""

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.interchange.formats import NAMES, Format, Writing, format_named
from schemas.interchange.labelled import LabelledSolution, Loss, Skip, losses
from schemas.interchange.prm800k_path import NeutralRating

NASTY = (
    "a", "B", " ", "\n", "\n\n", "\n\n\n\n\n", "Step 1:", "Step 2: ", "step 1:", "ки", "руки", "+",
    "-", "к", "и", "多少", "é", "𝔸", "\\boxed{7}", '"', "\\", "<step>", "\t", "\u2028", "\x1c", "?",
)  # fmt: skip
TAME = ("a", "B", " ", "\n", "多少", "Step 2: ", "+", "-", "𝔸", '"', "\\", "?")


def random_solutions(
    num: int, seed: int, alphabet: tuple[str, ...] = NASTY
) -> Iterator[LabelledSolution]:
    """So many solutions with everything in them that formats trip over, the same for each seed."""
    draw = random.Random(seed)

    def words(longest: int) -> str:
        return "".join(draw.choices(alphabet, k=draw.randint(0, longest)))

    def perhaps(value: str) -> str | None:
        return draw.choice([value, None])

    for number in range(num):
        steps = tuple(w if (w := words(6)).strip() else f"{w}x" for _ in range(draw.randint(1, 5)))
        if draw.random() < 0.2:
            steps = tuple(f"Step {n}: {step}" for n, step in enumerate(steps, start=1))
        choices = draw.choice([(True, False), (True, False, None), (True,), (None,), (False,)])
        scores = tuple(draw.choice([0.0, 0.125, 1.0, draw.random()]) for _ in steps)
        metadata = {
            "task": "GSM8K",
            "generator": "tiny",
            "labeler": "me",
            "generation": 0,
            "x": [1],
        }
        said = {k: v for k, v in metadata.items() if draw.random() < 0.5}
        yield LabelledSolution(
            question=words(5),
            steps=steps,
            labels=tuple(draw.choice(choices) for _ in steps),
            scores=draw.choice([scores, (*scores[1:], None), None]),
            answer=perhaps(words(2)),
            reference_answer=perhaps("72"),
            is_correct=draw.choice([True, False, None]),
            source_id=perhaps(f"s-{number}"),
            metadata=json.dumps(said) if said else None,
        )


def named(name: str) -> Format:
    return format_named(name, neutral=NeutralRating.NONE if name == "prm800k" else None)


WRITTEN = [name for name in NAMES if named(name).writing]


def writing_of(name: str) -> Writing:
    writing = named(name).writing
    assert writing is not None
    return writing


def kept_of(name: str, num: int = 400) -> Iterator[tuple[LabelledSolution, LabelledSolution]]:
    """Random solutions that the format can hold, each with what is kept of it."""
    kept = writing_of(name).kept
    for alphabet in (NASTY, TAME):
        for solution in random_solutions(num, seed=7, alphabet=alphabet):
            try:
                yield solution, kept(solution)
            except Skip:
                continue


def example(**changes: Any) -> LabelledSolution:
    """A solution that every format holds, with all that can be said of it."""
    full = LabelledSolution(
        question="How many?",
        steps=("1 + 1 = 2.", "So\nit is 3."),
        labels=(True, False),
        scores=(1.0, 0.25),
        answer="3",
        reference_answer="2",
        is_correct=False,
        source_id="s",
        metadata='{"task": "GSM8K", "generator": "tiny", "labeler": "me"}',
    )
    return replace(full, **changes)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_kept_comes_back(name: str) -> None:
    format_, seen = named(name), 0
    for _, kept in kept_of(name):
        assert format_.read(writing_of(name).write(kept)) == (kept,)
        seen += 1
    assert seen > 100


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_kept_is_kept_whole(name: str) -> None:
    for _, kept in kept_of(name):
        assert writing_of(name).kept(kept) == kept
        assert losses(kept, kept) == frozenset()


@pytest.mark.parametrize("name", WRITTEN)
def test_a_loss_is_named_if_and_only_if_there_is_one(name: str) -> None:
    for solution, kept in kept_of(name):
        is_same = replace(kept, metadata=None) == replace(solution, metadata=None)
        assert (losses(solution, kept) - {Loss.METADATA} == frozenset()) == is_same


@pytest.mark.parametrize("name", WRITTEN)
def test_no_label_is_ever_turned(name: str) -> None:
    """A label is kept or gone, and steps keep their order."""
    for solution, kept in kept_of(name):
        assert all(
            new is None or new == old
            for old, new in zip(solution.labels, kept.labels, strict=False)
        )


@pytest.mark.parametrize("name", WRITTEN)
def test_rows_survive_parquet(name: str) -> None:
    writing = writing_of(name)
    solutions = [kept for _, kept in kept_of(name, 50)]
    table = pa.Table.from_pylist([writing.write(s) for s in solutions], schema=writing.schema)
    file = BytesIO()
    pq.write_table(table, file)
    rows = pq.read_table(file).to_pylist()
    assert [named(name).read(row) for row in rows] == [(s,) for s in solutions]


@pytest.mark.parametrize("name", WRITTEN)
def test_written_columns_are_the_schemas(name: str) -> None:
    writing = writing_of(name)
    row = writing.write(writing.kept(example()))
    assert list(row) == writing.schema.names
    assert set(row) <= named(name).columns


REST = {
    Loss.ANSWER, Loss.REFERENCE_ANSWER, Loss.IS_CORRECT, Loss.SOURCE_ID, Loss.METADATA, Loss.SCORES,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("labelled", set()),
        ("trl", REST),
        ("rlhflow", REST),
        ("math-aps", REST),
        ("math-shepherd", REST),
        ("math-shepherd-value", REST - {Loss.SCORES}),
        ("processbench", REST - {Loss.IS_CORRECT, Loss.SOURCE_ID}),
        ("prm800k", REST - {Loss.ANSWER, Loss.REFERENCE_ANSWER}),
    ],
)
def test_what_each_format_loses(name: str, lost: set[Loss]) -> None:
    assert losses(example(), writing_of(name).kept(example())) == lost


CUT = ("a", "b", "c"), (True, None, True)


@pytest.mark.parametrize("name", ["trl", "rlhflow", "math-aps", "math-shepherd"])
def test_steps_from_the_first_without_a_label_on_are_cut(name: str) -> None:
    open_ = example(steps=CUT[0], labels=CUT[1], scores=None)
    kept = writing_of(name).kept(open_)
    assert (kept.steps, kept.labels) == (("a",), (True,))
    assert Loss.UNLABELLED_STEPS in losses(open_, kept)


@pytest.mark.parametrize("name", ["trl", "rlhflow", "math-aps", "math-shepherd"])
def test_a_solution_without_labels_is_left_out(name: str) -> None:
    with pytest.raises(Skip, match="the first step has no label"):
        writing_of(name).kept(example(labels=(None, None)))


@pytest.mark.parametrize("name", NAMES)
def test_a_row_of_another_kind_is_an_error_and_no_skip(name: str) -> None:
    for row in ({}, {"foo": 1}):
        with pytest.raises(ValueError, match="no '") as raised:
            named(name).read(row)
        assert not isinstance(raised.value, Skip)


def spoilt(value: Any, draw: random.Random) -> Any:
    """The value with something else somewhere in it."""
    junk = [None, 1, -1.5, True, "", "x", [], [None], [[1]], {}, {"text": 1}]
    if draw.random() < 0.2 or not isinstance(value, dict | list) or not value:
        return draw.choice(junk)
    if isinstance(value, list):
        at = draw.randrange(len(value))
        return [*value[:at], spoilt(value[at], draw), *value[at + 1 :]]
    name = draw.choice(list(value))
    return {**value, name: spoilt(value[name], draw)}


@pytest.mark.parametrize("name", WRITTEN)
def test_spoilt_rows_raise_nothing_but_value_errors(name: str) -> None:
    draw, writing, format_ = random.Random(3), writing_of(name), named(name)
    row = writing.write(writing.kept(example()))
    for _ in range(1_000):
        bad = {k: spoilt(v, draw) if draw.random() < 0.4 else v for k, v in row.items()}
        try:
            read = format_.read(bad)
        except ValueError:
            continue
        format_.read_losses(bad)
        for solution in read:
            with suppress(Skip):
                written = writing.write(writing.kept(solution))
                pa.Table.from_pylist([written], schema=writing.schema)
                assert format_.read(written) == (writing.kept(solution),)


def test_unknown_formats_and_options_are_refused() -> None:
    with pytest.raises(ValueError, match="no format 'csv': there are labelled, trl"):
        format_named("csv")
    with pytest.raises(ValueError, match="trl has none"):
        format_named("trl", neutral=NeutralRating.GOOD)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": (), "labels": (), "scores": None}, "no steps"),
        ({"steps": ("a", " \n")}, "a step without text"),
        ({"labels": (True,)}, "1 labels for 2 steps"),
        ({"scores": (1.0, 1.5)}, "outside"),
        ({"scores": (1.0, float("nan"))}, "outside"),
        ({"metadata": "[1]"}, "JSON object"),
    ],
)
def test_the_impossible_is_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        example(**changes)
