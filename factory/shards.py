"""Published shards: Parquet files of labelled solutions and rationales, complete or absent."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from factory.core.consensus import UNBALANCED, balanced
from factory.core.labelers import Labeler
from factory.core.publishing import Provenance, publish_group
from factory.core.rationale_rows import FORMATS
from factory.core.summary import Summary
from factory.core.teaching import Curation
from schemas.arrow import arrow_schema, features_schema, from_row, to_row
from schemas.manifest import ShardEntry
from schemas.published import PublishedConsensus, PublishedSolution
from schemas.records import ProblemGroup, Status

GROUPS_SORTED_TOGETHER = 20_000
"""Groups are sorted by problem_id this many at a time: smaller jobs publish the same bytes
whatever order their groups were finished in."""
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


def write_shards(
    evidence: list[Path],
    folder: Path,
    rule: Rule,
    *,
    rows_per_shard: int,
    rows_per_row_group: int,
) -> tuple[list[ShardEntry], Summary]:
    """Labels every stored group once and writes the rows as shards under `folder`.

    Labelled solutions go to data/; where a teacher was asked, kept rationales go to rationales/
    and solutions on which it agrees to consensus/. These two are absent when they would be empty.
    A problem that occurs in several files counts as its last one says: a later pass over failed
    problems replaces what an earlier one stored.
    """
    summary = Summary()
    unbalanced = _unbalanced(evidence, rule)
    sizes = (rows_per_shard, rows_per_row_group)
    solutions = _ShardWriter(folder, "data", PublishedSolution, *sizes)
    consensus = _ShardWriter(folder, "consensus", PublishedConsensus, *sizes)
    form = FORMATS.get(rule.provenance.form or "")
    rationales = _ShardWriter(folder, "rationales", form.record, *sizes) if form else None
    for group in read_groups(evidence):
        published = publish_group(group, rule.labeler, rule.provenance, rule.curation, unbalanced)
        summary.add(group, published)
        solutions.add(published.solutions)
        consensus.add(published.consensus)
        if rationales:
            rationales.add(published.rationales)
    shards = solutions.finish()
    for writer in (rationales, consensus):
        if writer is not None and writer.has_rows:
            shards += writer.finish()
    return shards, summary


def _unbalanced(evidence: list[Path], rule: Rule) -> frozenset[str]:
    """Ids of the rationales that go so that as many stay with an error as without."""
    if not rule.curation.is_balanced or rule.provenance.form is None:
        return frozenset()
    candidates = []
    for group in read_groups(evidence):
        if group.status is Status.OK:
            found = publish_group(group, rule.labeler, rule.provenance, rule.curation).judged
            candidates += [one.candidate for one in found]
    return frozenset(
        c.rationale_id for c in balanced(candidates) if c.decision.reason == UNBALANCED
    )


def read_groups(files: list[Path]) -> Iterator[ProblemGroup]:
    """Every problem once, as the last file that holds it says; `GROUPS_SORTED_TOGETHER` sorts."""
    tables: list[pa.Table] = []
    num_groups = 0
    for table in _last_words(files):
        tables.append(table)
        num_groups += len(table)
        if num_groups >= GROUPS_SORTED_TOGETHER:
            yield from _sorted_groups(tables)
            tables, num_groups = [], 0
    if tables:
        yield from _sorted_groups(tables)


def _last_words(files: list[Path]) -> Iterator[pa.Table]:
    """The rows of each file that no later file replaces."""
    last: dict[str, Path] = {}
    for file in files:
        last.update(dict.fromkeys(_problem_ids(pq.read_table(file, columns=["problem_id"])), file))
    for file in files:
        table = pq.read_table(file, schema=arrow_schema(ProblemGroup))
        yield table.filter(pa.array([last[i] == file for i in _problem_ids(table)], pa.bool_()))


def _problem_ids(table: pa.Table) -> list[str]:
    ids = table.column("problem_id").to_pylist()
    assert isinstance(ids, list)
    return ids


def _sorted_groups(tables: list[pa.Table]) -> Iterator[ProblemGroup]:
    """Records are made a few at a time: as Arrow they take a tenth of the memory."""
    table = pa.concat_tables(tables).sort_by("problem_id")
    for batch in table.to_batches(max_chunksize=64):
        for row in batch.to_pylist():
            yield from_row(ProblemGroup, row)


class _ShardWriter:
    """Shards of one type of row, in a folder of their own."""

    def __init__(
        self, folder: Path, name: str, record: type, rows_per_shard: int, rows_per_row_group: int
    ) -> None:
        self._folder = folder
        self._name = name
        self._rows_per_shard = rows_per_shard
        self._rows_per_row_group = rows_per_row_group
        self._schema = published_schema(record)
        self._rows: list[dict[str, object]] = []
        self._waiting = self._schema.empty_table()
        self._shards: list[ShardEntry] = []

    @property
    def has_rows(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._rows or self._shards or len(self._waiting))

    def add(self, rows: Iterable[Any]) -> None:
        self._rows += [to_row(row) for row in rows]
        if len(self._rows) >= ROWS_PACKED_TOGETHER:
            self._pack()

    def finish(self) -> list[ShardEntry]:
        """The shards; without a single row there is one that is empty: it can be streamed."""
        self._pack()
        if len(self._waiting) or not self._shards:
            self._write(self._waiting)
        return self._shards

    def _pack(self) -> None:
        packed = pa.Table.from_pylist(self._rows, schema=self._schema)
        self._rows = []
        self._waiting = pa.concat_tables([self._waiting, packed])
        while len(self._waiting) >= self._rows_per_shard:
            self._write(self._waiting.slice(0, self._rows_per_shard))
            self._waiting = self._waiting.slice(self._rows_per_shard)

    def _write(self, table: pa.Table) -> None:
        path = f"{self._name}/train-{len(self._shards):05d}.parquet"
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(".tmp")
        with pq.ParquetWriter(
            temporary,
            self._schema,
            compression="zstd",
            compression_level=3,
            write_page_index=True,
        ) as file:
            if len(table):  # `datasets` cannot read a row group without rows
                file.write_table(table, row_group_size=self._rows_per_row_group)
        content = temporary.read_bytes()
        temporary.rename(target)
        self._shards.append(
            ShardEntry(
                path=path,
                sha256=hashlib.sha256(content).hexdigest(),
                num_bytes=len(content),
                num_rows=len(table),
            )
        )
