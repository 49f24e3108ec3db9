"""What each sealed slice came to: the record that its shards are final.

A seal is written when the slice's shards are, and before the dataset's manifest lists them.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from factory.core.publishing import PublishedGroup
from factory.core.summary import Summary
from factory.slices import Slices
from factory.stage_folder import slice_name
from schemas.files import listed, read_bytes, write_atomically
from schemas.ids import content_id
from schemas.manifest import ShardEntry
from schemas.records import ProblemGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """One slice."""

    number: int
    content: str
    """Names the problems whose rows are in the shards, as they were."""
    shards: tuple[ShardEntry, ...]
    summary: dict[str, Any]
    omitted: dict[str, dict[str, Any]]
    """The problems that had failed, each with its own summary: tried again by the next run, and
    published in a later slice."""

    def holds(self, slices: Slices) -> bool:
        """Whether the slice's problems are still those that were sealed."""
        published = (i for i in slices.members[self.number] if i not in self.omitted)
        return self.content == content_of(published, slices.input_ids)


def content_of(problem_ids: Iterable[str], input_ids: Mapping[str, str]) -> str:
    """Names problems as they are, in whatever order."""
    return content_id(*(text for i in sorted(problem_ids) for text in (i, input_ids[i])))


def failed_summary(group: ProblemGroup) -> dict[str, Any]:
    """What a failed group adds to the job's summary."""
    summary = Summary()
    summary.add(group, PublishedGroup())
    return {name: value for name, value in summary.as_dict().items() if value}


def read_seals(folder: Path) -> dict[int, Seal]:
    """The seals in a folder, by slice."""
    seals = (_seal(json.loads(read_bytes(file))) for file in listed(folder, "slice-*.json"))
    return {seal.number: seal for seal in seals}


def _seal(content: dict[str, Any]) -> Seal:
    shards = tuple(ShardEntry(**shard) for shard in content.pop("shards"))
    return Seal(**content, shards=shards)


def write_seal(folder: Path, seal: Seal) -> None:
    """From here on the slice's shards are final."""
    text = json.dumps(asdict(seal), ensure_ascii=False, indent=1)
    write_atomically(folder / f"{slice_name(seal.number)}.json", text + "\n")


def summary_of(seals: Mapping[int, Seal], slices: Slices) -> Summary:
    """What all sealed slices came to; a problem left out by one counts where it is now."""
    total = Summary()
    for number, seal in sorted(seals.items()):
        total.add_all(seal.summary)
        members = set(slices.members.get(number, ()))
        for problem_id, failed in sorted(seal.omitted.items()):
            if problem_id in members:
                total.add_all(failed)
    return total


def with_shard(seal: Seal, shard: ShardEntry) -> Seal:
    """The seal of a slice that gets one more shard: the empty one of an empty dataset."""
    return replace(seal, shards=(*seal.shards, shard))
