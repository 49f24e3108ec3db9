"""Publishing: from stored evidence to a dataset folder that loads with one line. No engine."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from factory.card import dataset_card
from factory.core.labelers import Labeler
from factory.core.publishing import Provenance
from factory.core.summary import claim_of
from factory.core.teaching import Curation
from factory.job import OutputSection
from factory.shards import Rule, published_schema, write_shards
from schemas.manifest import Manifest, write_atomically, write_manifest


def publish(
    *,
    evidence: list[Path],
    folder: Path,
    manifest: Manifest,
    labeler: Labeler,
    output: OutputSection,
    curation: Curation = Curation(),
) -> Manifest:
    """Replaces the dataset in `folder` by one made from this evidence, when all of it is written.

    Returns the manifest with the summary and, for Parquet, the shards.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        shards, summary = write_shards(
            evidence,
            temporary,
            Rule(labeler=labeler, curation=curation, provenance=provenance_of(manifest)),
            rows_per_shard=output.rows_per_shard,
            rows_per_row_group=output.rows_per_row_group,
        )
        if output.format == "arrow":
            _rewrite_as_arrow(temporary, summary.num_solutions)
            shards = []
        found = summary.as_dict() | {"claim": claim_of(manifest.recipe, summary)}
        manifest = replace(manifest, shards=tuple(shards), summary=found)
        write_atomically(temporary / "README.md", dataset_card(manifest, output.format))
        write_manifest(temporary, manifest)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return manifest


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
    return models["generator"] == models["completer"] and recipe["sampling"] == recipe["completing"]


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
