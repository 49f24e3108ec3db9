"""Recipes are found by the name of their file, shipped or the user's own."""

import subprocess
import sys
from pathlib import Path

import pytest

from factory.core.labelers import HardEstimation, RelativeProgress
from factory.core.planners import FixedK, KByDifficulty
from factory.recipes import load_recipe, recipe_names

ROOT = Path(__file__).parents[2]
OWN = """
from __future__ import annotations
from dataclasses import dataclass
from factory.core.chain import Chain
from factory.core.labelers import StepLabel
from factory.core.recipe import Recipe

@dataclass(frozen=True, slots=True, kw_only=True)
class AllGood:
    strictness: float = 0.5
    def __call__(self, chain: Chain) -> tuple[StepLabel, ...]:
        return tuple(StepLabel(label=True, mc_score=None, progress=None) for _ in chain.steps)

RECIPE = Recipe(name="own", summary="every step is good", labeler=AllGood())
"""


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_is_named_like_its_file(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.summary
    assert len(recipe.digest) == 16


def test_shipped_recipes_differ() -> None:
    assert {"genprm", "math-shepherd"} <= set(recipe_names())
    assert len({load_recipe(name).digest for name in recipe_names()}) == len(recipe_names())


def test_math_shepherd_is_eight_rollouts_and_any_right() -> None:
    recipe = load_recipe("math-shepherd")
    assert recipe.planner == FixedK(num_rollouts=8)
    assert recipe.labeler == HardEstimation(above=0)


def test_genprm_is_relative_progress_of_four_fifths() -> None:
    recipe = load_recipe("genprm")
    assert recipe.labeler == RelativeProgress(threshold=0.8)
    assert recipe.planner == KByDifficulty()
    assert (recipe.selection.min_correct, recipe.selection.min_wrong) == (1, 1)


@pytest.mark.parametrize("name", ["genprn", "", "math_shepherd", "../genprm"])
def test_an_unknown_recipe_lists_the_known(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"unknown recipe.*genprm, genprm-labels, math-shepherd"
    ) as refused:
        load_recipe(name)
    assert ".py file" in str(refused.value)


def test_a_recipe_of_ones_own_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    recipe = load_recipe(str(path))
    assert recipe.name == "own"
    assert recipe.description["labeler"] == {"type": "AllGood", "strictness": 0.5}
    assert recipe.digest == load_recipe(str(path)).digest


@pytest.mark.ray
def test_a_recipe_of_ones_own_reaches_workers_that_lack_its_file(tmp_path: Path) -> None:
    from ray import cloudpickle

    path = tmp_path / "own.py"
    path.write_text(OWN)
    stored = cloudpickle.dumps(load_recipe(str(path)))
    code = f"from ray import cloudpickle; print(cloudpickle.loads({stored!r}).labeler.strictness)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (found.stdout.strip(), found.stderr) == ("0.5", "")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("RECIPE = 5", "does not define RECIPE"),
        ("", "does not define RECIPE"),
        ("this is no Python", "cannot be loaded: SyntaxError"),
        ("import no_such_module", "cannot be loaded: ModuleNotFoundError"),
        ("raise KeyError('x')", "cannot be loaded: KeyError"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, source: str, message: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(source)
    with pytest.raises(ValueError, match=message):
        load_recipe(str(path))


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(ValueError, match=r"recipe file nowhere\.py does not exist"):
        load_recipe("nowhere.py")
