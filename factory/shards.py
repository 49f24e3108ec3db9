"""Published shards: a slice's labelled solutions and rationales as Parquet, complete or absent."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from factory.core.consensus import UNBALANCED, balanced
from factory.core.labelers import Labeler
from factory.core.publishing import Provenance, PublishedGroup, publish_group
from factory.core.rationale_rows import FORMATS
from factory.core.summary import Summary
from factory.core.teaching import Curation
from schemas.arrow import arrow_schema, features_schema, to_row
from schemas.files import parquet_bytes, sha256_of, write_atomically
from schemas.manifest import ShardEntry
from schemas.published import PublishedConsensus, PublishedSolution
from schemas.records import ProblemGroup, Status

DATA = "data"
PARTS = (DATA, "rationales", "consensus")
ROWS_PACKED_TOGETHER = 1_000
"""Rows wait for their shard as Arrow, not as dicts of ten times the size."""


def published_schema(record: type = PublishedSolution) -> pa.Schema:
    """The Arrow schema of a shard, with the features `datasets` reads."""
    return features_schema(arrow_schema(record))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What makes rows of stored groups."""

    labeler: Labeler
    provenance: Provenance
    curation: Curation = Curation()


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceShards:
    """What a slice was published as."""

    shards: tuple[ShardEntry, ...]
    summary: Summary


def shard_path(part: str, number: int) -> str:
    """A shard's path in the dataset: a slice has one in every part it has rows for."""
    return f"{part}/train-{number:05d}.parquet"


def write_slice(
    groups: Iterable[ProblemGroup],
    number: int,
    folder: Path,
    rule: Rule,
    *,
    rows_per_row_group: int,
) -> SliceShards:
    """Labels the groups of a slice and writes their rows as its shards under `folder`.

    Labelled solutions go to data/; where a teacher was asked, kept rationales go to rationales/
    and solutions on which it agrees to consensus/. A part without rows has no shard. Failed groups
    are counted and have no rows. Kept rationales are balanced within the slice.
    """
    summary = Summary()
    rows = {DATA: _Rows(PublishedSolution), "consensus": _Rows(PublishedConsensus)}
    if form := FORMATS.get(rule.provenance.form or ""):
        rows["rationales"] = _Rows(form.record)
    for group, published in _published(groups, rule):
        summary.add(group, published)
        rows[DATA].add(published.solutions)
        rows["consensus"].add(published.consensus)
        if form:
            rows["rationales"].add(published.rationales)
    tables = {part: rows[part].table() for part in PARTS if part in rows}
    shards = tuple(
        _write(table, shard_path(part, number), folder, rows_per_row_group)
        for part, table in tables.items()
        if len(table)
    )
    return SliceShards(shards=shards, summary=summary)


def write_empty_shard(number: int, folder: Path) -> ShardEntry:
    """For a dataset without a single row: it can be streamed all the same."""
    return _write(published_schema().empty_table(), shard_path(DATA, number), folder, 1)


def _published(
    groups: Iterable[ProblemGroup], rule: Rule
) -> Iterable[tuple[ProblemGroup, PublishedGroup]]:
    def publish(group: ProblemGroup, unbalanced: frozenset[str] = frozenset()) -> PublishedGroup:
        return publish_group(group, rule.labeler, rule.provenance, rule.curation, unbalanced)

    if not rule.curation.is_balanced or rule.provenance.form is None:
        return ((group, publish(group)) for group in groups)
    kept = list(groups)
    candidates = [one.candidate for g in kept if g.status is Status.OK for one in publish(g).judged]
    surplus = frozenset(
        c.rationale_id for c in balanced(candidates) if c.decision.reason == UNBALANCED
    )
    return ((group, publish(group, surplus)) for group in kept)


class _Rows:
    """Rows of one type, packed as they come."""

    def __init__(self, record: type) -> None:
        self._schema = published_schema(record)
        self._rows: list[dict[str, Any]] = []
        self._packed = [self._schema.empty_table()]

    def add(self, rows: Iterable[Any]) -> None:
        self._rows += [to_row(row) for row in rows]
        if len(self._rows) >= ROWS_PACKED_TOGETHER:
            self._pack()

    def _pack(self) -> None:
        self._packed.append(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def table(self) -> pa.Table:
        self._pack()
        return pa.concat_tables(self._packed).combine_chunks()


def _write(table: pa.Table, path: str, folder: Path, rows_per_row_group: int) -> ShardEntry:
    content = parquet_bytes(
        table,
        compression_level=3,
        write_page_index=True,
        row_group_size=rows_per_row_group,
    )
    write_atomically(folder / path, content)
    return ShardEntry(
        path=path, sha256=sha256_of(content), num_bytes=len(content), num_rows=len(table)
    )
