"""Publishing stored evidence again under another recipe's rule."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from factory.core.recipe import Recipe
from factory.errors import InputError, shortened
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
    try:
        source = read_manifest(folder)
    except ValueError as error:
        raise InputError(shortened(error)) from error
    evidence = JobFolder(path=folder).estimate.files()
    if source is None or not evidence:
        raise InputError(
            f"{folder} holds no evidence: give the folder that 'prm-factory label' made with --out"
        )
    manifest = replace(
        source,
        audit={},
        digest=label_digest(source.evidence_digest, recipe),
        recipe=_relabelled(source.recipe, recipe),
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


def _relabelled(source: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """How the rows were really made: the stored evidence's recipe with the new labeler.

    It bears the new recipe's name alone only if that would have bought the same evidence.
    """
    described = recipe.description
    own = ("name", "summary", "labeler")
    if {**described, **{k: source[k] for k in own}} == source:
        return described
    return {
        **source,
        "name": f"{recipe.name} on {source['name']}",
        "summary": f"the labels of {recipe.name} on the evidence of {source['name']}",
        "labeler": described["labeler"],
    }
