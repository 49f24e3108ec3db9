"""Publishing stored evidence again under another recipe's rule."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from factory.ending import Ending
from factory.errors import InputError
from factory.identity import check_folder, label_digest, manifest_in
from factory.job import OutputSection
from factory.job_checks import load_recipe_or_refuse
from factory.job_folder import JobFolder
from factory.lease import Lease
from factory.moving_rows import PAUSES_S, reread
from factory.publish import publish, slices_of
from factory.recipes import recipe_description
from schemas.manifest import Manifest, write_manifest


def relabel(
    folder: Path, recipe_name: str, out: Path, pauses_s: Iterable[float] = PAUSES_S
) -> Manifest:
    """Publishes the evidence in `folder` as `out`/dataset, labelled by this recipe's labeler.

    Sampling, selection and rollouts stay what they were; only the rule from counts to labels is
    the recipe's. Raises InputError when there is no evidence.
    """
    recipe = load_recipe_or_refuse(recipe_name)
    source = manifest_in(folder)
    job = JobFolder(path=folder)
    has_rows = source is not None and bool(job.last_stage(source.recipe).files())
    if source is not None and not has_rows and job.estimate.files():
        raise InputError(
            f"the teacher has not judged anything in {folder} yet: finish the job first"
        )
    if source is None or not has_rows:
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
    found = check_folder(out, manifest)
    ending = Ending()
    with ending.watched(), Lease(out, ending):
        if found is None:
            write_manifest(out, manifest)  # what is killed from here on can be run again

        def published() -> Manifest:
            return publish(
                evidence=slices_of(job, job.last_stage(source.recipe)),
                folder=out / "dataset",
                manifest=manifest,
                labeler=recipe.labeler,
                curation=recipe.curation,
                output=OutputSection(),
            )

        manifest = reread(folder, published, pauses_s)
        write_manifest(out, manifest)
    return manifest


def unfinished(folder: Path, pauses_s: Iterable[float] = PAUSES_S) -> str | None:
    """A line for a person when the job in `folder` has problems without evidence, else `None`."""
    return reread(folder, lambda: _unfinished(folder), pauses_s)


def _unfinished(folder: Path) -> str | None:
    job, manifest = JobFolder(path=folder), manifest_in(folder)
    slices = job.slices()
    num_problems = len(slices.rows)
    rows = job.stored(job.last_stage(manifest.recipe), slices).rows if manifest else {}
    num_stored = sum(problem_id in rows for problem_id in slices.rows)
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
