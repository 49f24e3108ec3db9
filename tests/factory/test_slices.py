"""A job's problems in slices: written once, added to, corrected in place."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from factory.slices import (
    add_late_slice,
    add_problems,
    problems_per_slice,
    read_slices,
)
from schemas.arrow import arrow_schema, to_row
from schemas.files import place
from schemas.records import ProblemGroup


def problems(*names: str, input_id: str = "1") -> list[pa.Table]:
    rows: list[dict[str, Any]] = [
        to_row(ProblemGroup(problem_id=name, question="?", answer="1", input_id=input_id))
        for name in names
    ]
    return [pa.Table.from_pylist([row], schema=arrow_schema(ProblemGroup)) for row in rows]


def add(folder: Path, tables: list[pa.Table], size: int = 2) -> dict[int, tuple[str, ...]]:
    return add_problems(folder, read_slices(folder), tables, size).members


@pytest.mark.parametrize(
    ("num_problems", "asked", "size"),
    [(1, None, 64), (2_048, None, 64), (3_200, None, 100), (10**6, None, 5_000), (10**6, 7, 7)],
)
def test_a_slice_is_a_32nd_of_the_job_within_bounds(
    num_problems: int, asked: int | None, size: int
) -> None:
    assert problems_per_slice(num_problems, asked) == size


@pytest.mark.parametrize("where", ["local", "s3"])
def test_slices_keep_the_order_of_the_input(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = tmp_path if where == "local" else place(request.getfixturevalue("bucket"))
    assert add(url / "problems", problems(*"dbaec")) == {0: ("d", "b"), 1: ("a", "e"), 2: ("c",)}


def test_problems_that_join_come_in_slices_of_their_own(tmp_path: Path) -> None:
    add(tmp_path, problems(*"abc"))
    before = {f.name: f.read_bytes() for f in tmp_path.iterdir()}
    assert add(tmp_path, problems(*"dabce"))[2] == ("d", "e")
    after = {f.name: f.read_bytes() for f in tmp_path.iterdir()}
    assert before.items() <= after.items()


def test_an_interrupted_start_cuts_the_same_slices(tmp_path: Path) -> None:
    whole = add(tmp_path / "whole", problems(*"abcdefg"))
    add(tmp_path / "cut", problems(*"abcd"))
    assert add(tmp_path / "cut", problems(*"abcdefg")) == whole


def test_a_corrected_problem_is_corrected_in_its_slice(tmp_path: Path) -> None:
    add(tmp_path, problems(*"abc"))
    untouched = (tmp_path / "slice-00001.parquet").read_bytes()
    members = add(tmp_path, [*problems("c", "b"), *problems("a", input_id="2")])
    assert members == {0: ("a", "b"), 1: ("c",)}
    assert read_slices(tmp_path).input_ids == {"a": "2", "b": "1", "c": "1"}
    assert (tmp_path / "slice-00001.parquet").read_bytes() == untouched


def test_a_late_problem_belongs_to_its_late_slice(tmp_path: Path) -> None:
    add(tmp_path, problems(*"abcd"))
    slices = add_late_slice(tmp_path, read_slices(tmp_path), ["d", "a"])
    assert slices.members == {0: ("b",), 1: ("c",), 2: ("a", "d")}
    assert slices.rows["a"].file.name == "slice-00002.parquet"
    assert replace(slices) == read_slices(tmp_path)
