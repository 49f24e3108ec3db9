"""Publishing: from stored evidence to a dataset folder that loads with one line. No engine."""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from factory.card import dataset_card
from factory.core.labelers import Labeler
from factory.core.publishing import Provenance
from factory.core.summary import Summary, claim_of
from factory.core.teaching import Curation
from factory.job import OutputSection
from factory.job_folder import JobFolder
from factory.shards import (
    PARTS,
    Rule,
    published_schema,
    write_empty_shard,
    write_slice,
)
from factory.slices import Slices
from factory.stage_folder import StageFolder
from factory.stored import groups_in
from schemas.files import is_local, listed, make_folder, remove, write_atomically
from schemas.manifest import Manifest, ShardEntry, write_manifest
from schemas.records import ProblemGroup
from workers.scratch import scratch

SliceGroups = tuple[int, Iterable[ProblemGroup]]
"""A slice's number and its groups by problem_id."""


def slices_of(folder: JobFolder, stage: StageFolder) -> Iterator[SliceGroups]:
    """What a stage has stored, slice by slice; slices without a stored row are left out."""
    slices: Slices = folder.slices()
    rows = folder.stored(stage, slices).rows
    for number in sorted(slices.members):
        if ids := [i for i in slices.members[number] if i in rows]:
            yield number, groups_in(rows, ids)


def publish(
    *,
    evidence: Iterable[SliceGroups],
    folder: Path,
    manifest: Manifest,
    labeler: Labeler,
    output: OutputSection,
    curation: Curation = Curation(),
) -> Manifest:
    """Replaces the dataset in `folder` by one made from this evidence, when all of it is written.

    Returns the manifest with the summary and, for Parquet, the shards.
    """
    rule = Rule(labeler=labeler, curation=curation, provenance=provenance_of(manifest))
    with _workshop(folder) as workshop:
        summary = Summary()
        shards: list[ShardEntry] = []
        for number, groups in evidence:
            made = write_slice(
                groups, number, workshop, rule, rows_per_row_group=output.rows_per_row_group
            )
            shards += made.shards
            summary.add_all(made.summary.as_dict())
        if not shards:
            shards = [write_empty_shard(0, workshop)]
        if output.format == "arrow":
            _rewrite_as_arrow(workshop, summary.num_solutions)
            shards = []
        manifest = described(
            replace(manifest, num_problems=summary.num_problems), summary, shards, is_complete=True
        )
        files = sorted(f for f in workshop.rglob("*") if f.is_file())
        for file in files:
            _move(file, folder / file.relative_to(workshop).as_posix())
        write_documents(folder, manifest, output.format)
        remove_unlisted(folder, {f.relative_to(workshop).as_posix() for f in files})
    return manifest


def described(
    manifest: Manifest, summary: Summary, shards: Iterable[ShardEntry], *, is_complete: bool
) -> Manifest:
    """The manifest of a dataset that holds these shards."""
    found = summary.as_dict() | {"claim": claim_of(manifest.recipe, summary)}
    return replace(manifest, shards=tuple(shards), summary=found, is_complete=is_complete)


def write_documents(folder: Path, manifest: Manifest, output_format: str) -> None:
    """Card and manifest; the manifest last, as it says what is there."""
    write_atomically(folder / "README.md", dataset_card(manifest, output_format))
    write_manifest(folder, manifest)


def remove_unlisted(folder: Path, listed_paths: set[str]) -> None:
    """Removes rows of an earlier dataset in this folder."""
    for part in PARTS:
        for file in listed(folder / part, "*.parquet"):
            if f"{part}/{file.name}" not in listed_paths:
                remove(file)
        if is_local(folder) and (folder / part).is_dir() and not any((folder / part).iterdir()):
            (folder / part).rmdir()
    for pattern in ("*.arrow", "state.json", "dataset_info.json"):
        for file in listed(folder, pattern):
            if file.name not in listed_paths:
                remove(file)


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """A local folder in which the dataset is made before any of it is put in place."""
    if not is_local(folder):
        with scratch("publish") as made:
            yield made
        return
    path = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(path, ignore_errors=True)
    make_folder(path.parent)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _move(file: Path, target: Path) -> None:
    if is_local(target):
        make_folder(target.parent)
        file.replace(target)
    else:
        write_atomically(target, file.read_bytes())


def provenance_of(manifest: Manifest) -> Provenance:
    """What the rows say of the job that made them."""
    teaching = manifest.recipe["teaching"]
    return Provenance(
        recipe=manifest.recipe["name"],
        digest=manifest.digest,
        generator=_model(manifest, "generator"),
        completer=_model(manifest, "completer"),
        teacher=_model(manifest, "teacher") if teaching else None,
        form=teaching["form"]["type"] if teaching else None,
        sampling=json.dumps(manifest.recipe["sampling"]),
        completing=json.dumps(manifest.recipe["completing"]),
        seed=manifest.seed,
        is_on_policy=is_on_policy(manifest),
    )


def _model(manifest: Manifest, role: str) -> str | None:
    model = manifest.models.get(role)
    return model["model"] if model else None


def is_on_policy(manifest: Manifest) -> bool:
    """Whether one model sampled the solutions and completed them, in the same way."""
    models, recipe = manifest.models, manifest.recipe
    if models["generator"] is None:
        return False
    is_one_model: bool = models["generator"] == models["completer"]
    return is_one_model and bool(recipe["sampling"] == recipe["completing"])


def _rewrite_as_arrow(folder: Path, num_rows: int) -> None:
    """Turns Parquet shards into what `datasets.load_from_disk` reads."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    files = [str(f) for f in sorted((folder / "data").glob("*.parquet"))]
    cache = folder / ".cache"
    if num_rows:
        Dataset.from_parquet(files, cache_dir=str(cache)).save_to_disk(str(folder))
    else:  # `datasets` makes no split of no rows
        Dataset(published_schema().empty_table()).save_to_disk(str(folder), num_shards=1)
    shutil.rmtree(folder / "data")
    shutil.rmtree(cache, ignore_errors=True)
