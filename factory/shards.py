"""Published shards: Parquet files of labelled solutions, complete or absent."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from factory.core.labelers import Labeler
from factory.core.publishing import Provenance, publish_group
from factory.core.summary import Summary
from schemas.arrow import arrow_schema, features_schema, from_row, to_row
from schemas.manifest import ShardEntry
from schemas.published import PublishedSolution
from schemas.records import ProblemGroup

GROUPS_SORTED_TOGETHER = 20_000
"""Groups are sorted by problem_id this many at a time: smaller jobs publish the same bytes
whatever order their groups were finished in."""


def published_schema() -> pa.Schema:
    """The Arrow schema of a shard, with the features `datasets` reads."""
    return features_schema(arrow_schema(PublishedSolution))


def write_shards(
    evidence: list[Path],
    folder: Path,
    labeler: Labeler,
    provenance: Provenance,
    *,
    rows_per_shard: int,
    rows_per_row_group: int,
) -> tuple[list[ShardEntry], Summary]:
    """Labels every stored group once and writes the rows as shards under `folder`/data.

    A problem that occurs in several files counts as its last one says: a later pass over failed
    problems replaces what an earlier one stored.
    """
    summary = Summary()
    writer = _ShardWriter(folder, rows_per_shard, rows_per_row_group)
    for groups in _sorted_groups(evidence):
        for group in groups:
            rows = list(publish_group(group, labeler, provenance))
            summary.add(group, rows)
            writer.add(rows)
    return writer.finish(), summary


def read_groups(files: list[Path]) -> Iterator[ProblemGroup]:
    """Every problem once, as the last file that holds it says."""
    last: dict[str, Path] = {}
    for file in files:
        ids = pq.read_table(file, columns=["problem_id"]).column("problem_id").to_pylist()
        last.update(dict.fromkeys(ids, file))
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=256):
            for row in batch.to_pylist():
                if last[row["problem_id"]] == file:
                    yield from_row(ProblemGroup, row)


def _sorted_groups(files: list[Path]) -> Iterator[list[ProblemGroup]]:
    batch: list[ProblemGroup] = []
    for group in read_groups(files):
        batch.append(group)
        if len(batch) == GROUPS_SORTED_TOGETHER:
            yield sorted(batch, key=lambda g: g.problem_id)
            batch = []
    if batch:
        yield sorted(batch, key=lambda g: g.problem_id)


class _ShardWriter:
    def __init__(self, folder: Path, rows_per_shard: int, rows_per_row_group: int) -> None:
        self._folder = folder
        self._rows_per_shard = rows_per_shard
        self._rows_per_row_group = rows_per_row_group
        self._schema = published_schema()
        self._rows: list[dict[str, object]] = []
        self._shards: list[ShardEntry] = []

    def add(self, rows: list[PublishedSolution]) -> None:
        self._rows += [to_row(row) for row in rows]
        while len(self._rows) >= self._rows_per_shard:
            self._write(self._rows[: self._rows_per_shard])
            del self._rows[: self._rows_per_shard]

    def finish(self) -> list[ShardEntry]:
        if self._rows or not self._shards:
            self._write(self._rows)
        return self._shards

    def _write(self, rows: list[dict[str, object]]) -> None:
        path = f"data/train-{len(self._shards):05d}.parquet"
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(".tmp")
        pq.write_table(
            pa.Table.from_pylist(rows, schema=self._schema),
            temporary,
            compression="zstd",
            compression_level=3,
            row_group_size=self._rows_per_row_group,
            write_page_index=True,
        )
        content = temporary.read_bytes()
        temporary.rename(target)
        self._shards.append(
            ShardEntry(
                path=path,
                sha256=hashlib.sha256(content).hexdigest(),
                num_bytes=len(content),
                num_rows=len(rows),
            )
        )
