"""Publishing stored evidence again under another recipe's rule."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from factory.errors import InputError
from factory.identity import check_folder, label_digest, manifest_in
from factory.job import OutputSection
from factory.job_folder import JobFolder
from factory.pipeline import load_recipe_or_refuse
from factory.publish import publish
from factory.recipes import recipe_description
from schemas.manifest import Manifest, write_manifest


def relabel(folder: Path, recipe_name: str, out: Path) -> Manifest:
    """Publishes the evidence in `folder` as `out`/dataset, labelled by this recipe's labeler.

    Sampling, selection and rollouts stay what they were; only the rule from counts to labels is
    the recipe's. Raises InputError when there is no evidence.
    """
    recipe = load_recipe_or_refuse(recipe_name)
    source = manifest_in(folder)
    evidence = [] if source is None else JobFolder(path=folder).evidence(source.recipe)
    if source is not None and not evidence and JobFolder(path=folder).estimate.files():
        raise InputError(
            f"the teacher has not judged anything in {folder} yet: finish the job first"
        )
    if source is None or not evidence:
        raise InputError(
            f"{folder} holds no evidence: give the folder that 'prm-factory label' made with --out"
        )
    described = recipe_description(recipe, recipe_name)
    described = _relabelled(source.recipe, described)
    manifest = replace(
        source,
        audit={},
        summary={},
        shards=(),
        digest=label_digest(source.evidence_digest, described, source.models),
        recipe=described,
    )
    if check_folder(out, manifest) is None:
        write_manifest(out, manifest)  # what is killed from here on can be run again
    manifest = publish(
        evidence=evidence,
        folder=out / "dataset",
        manifest=manifest,
        labeler=recipe.labeler,
        curation=recipe.curation,
        output=OutputSection(),
    )
    write_manifest(out, manifest)
    return manifest


def unfinished(folder: Path) -> str | None:
    """A line for a person when the job in `folder` has problems without evidence, else `None`."""
    job = JobFolder(path=folder)
    num_problems = sum(pq.read_metadata(f).num_rows for f in job.problems.glob("*.parquet"))
    manifest = manifest_in(folder)
    files = job.evidence(manifest.recipe) if manifest else []
    stored = (pq.read_table(f, columns=["problem_id"]) for f in files)
    num_stored = len({i for table in stored for i in table["problem_id"].to_pylist()})
    if num_stored >= num_problems:
        return None
    return (
        f"the job in {folder} is not finished: "
        f"{num_stored:,} of {num_problems:,} problems are published"
    )


def _relabelled(source: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
    """How the rows were really made: the stored evidence's recipe with the new labeler.

    It bears the new recipe's name alone only if that would have bought the same evidence.
    """
    own = ("name", "summary", "labeler", "curation")
    if {**described, **{k: source[k] for k in own}} == source:
        return described
    return {
        **source,
        "name": f"{described['name']} on {source['name']}",
        "summary": f"the labels of {described['name']} on the evidence of {source['name']}",
        "labeler": described["labeler"],
        "curation": described["curation"],
        **({"labeler_file_hash": described["file_hash"]} if "file_hash" in described else {}),
    }
