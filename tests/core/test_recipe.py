"""A recipe's digests name what they say they name."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from factory.core.labelers import HardEstimation, RelativeProgress
from factory.core.planners import FixedK, UntilFirstSuccess
from factory.core.recipe import Recipe
from factory.core.selection import Selection
from factory.core.steps import StepStyle
from factory.core.teaching import Curation, Teaching
from schemas.generation import Sampling

RECIPE = Recipe(name="one", summary="a first one")
EVIDENCE: list[dict[str, Any]] = [
    {"needs_completer_root": True},
    {"num_solutions": 17},
    {"sampling": Sampling(temperature=0.8)},
    {"sampling": Sampling(stop=("Question:",))},
    {"step_style": StepStyle.LINE},
    {"selection": Selection(max_solutions=4)},
    {"completing": Sampling(max_tokens=64)},
    {"planner": FixedK(num_rollouts=9)},
    {"planner": UntilFirstSuccess(max_rollouts=8)},
]
LABELS: list[dict[str, Any]] = [
    {"labeler": HardEstimation(above=0.5)},
    {"labeler": RelativeProgress()},
    {"labeler": RelativeProgress(threshold=0.5)},
    {"teaching": Teaching()},
    {"curation": Curation(is_balanced=True)},
    {"name": "two"},
    {"summary": "another"},
]


@pytest.mark.parametrize("change", EVIDENCE)
def test_what_decides_the_evidence_changes_both_digests(change: dict[str, Any]) -> None:
    changed = replace(RECIPE, **change)
    assert changed.digest != RECIPE.digest
    assert changed.evidence_digest != RECIPE.evidence_digest


@pytest.mark.parametrize("change", LABELS)
def test_what_decides_labels_leaves_the_evidence_digest(change: dict[str, Any]) -> None:
    changed = replace(RECIPE, **change)
    assert changed.digest != RECIPE.digest
    assert changed.evidence_digest == RECIPE.evidence_digest


def test_every_field_is_named_by_a_digest() -> None:
    fields = set(RECIPE.description) - {"type"}
    assert fields == {name for change in EVIDENCE + LABELS for name in change}


def test_equal_recipes_have_equal_digests() -> None:
    assert Recipe(name="one", summary="a first one").digest == RECIPE.digest


def test_parts_of_different_types_with_equal_fields_differ() -> None:
    @dataclass(frozen=True)
    class Other(FixedK):
        pass

    assert replace(RECIPE, planner=Other(num_rollouts=8)).digest != RECIPE.digest


def test_a_part_that_cannot_be_named_is_refused() -> None:
    with pytest.raises(ValueError, match="made of frozen dataclasses"):
        _ = replace(RECIPE, labeler=lambda chain: ()).digest


def test_a_recipe_without_solutions_is_refused() -> None:
    with pytest.raises(ValueError, match="num_solutions must be at least 1, not 0"):
        Recipe(name="none", summary="", num_solutions=0)
