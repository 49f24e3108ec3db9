"""Publishing stored evidence again under another recipe's rule."""

from dataclasses import replace
from pathlib import Path

from factory.errors import InputError
from factory.identity import check_folder, label_digest
from factory.job import OutputSection
from factory.pipeline import JobFolder, load_recipe_or_refuse
from factory.publish import publish
from schemas.manifest import Manifest, read_manifest, write_manifest


def relabel(folder: Path, recipe_name: str, out: Path) -> Manifest:
    """Publishes the evidence in `folder` as `out`/dataset, labelled by this recipe's labeler.

    Sampling, selection and rollouts stay what they were; only the rule from counts to labels is
    the recipe's. Raises InputError when there is no evidence.
    """
    recipe = load_recipe_or_refuse(recipe_name)
    source = read_manifest(folder)
    evidence = JobFolder(path=folder).estimate.files()
    if source is None or not evidence:
        raise InputError(f"{folder} holds no evidence: give the folder of a 'prm-factory label'")
    described = recipe.description
    manifest = replace(
        source,
        digest=label_digest(source.evidence_digest, recipe),
        recipe={
            **source.recipe,
            "name": recipe.name,
            "summary": recipe.summary,
            "labeler": described["labeler"],
        },
    )
    check_folder(out, manifest)
    manifest = publish(
        evidence=evidence,
        folder=out / "dataset",
        manifest=manifest,
        labeler=recipe.labeler,
        output=OutputSection(),
    )
    write_manifest(out, manifest)
    return manifest
