"""One file per published method, one value each, named like the file."""

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from factory.core.recipe import Recipe


def recipe_names() -> list[str]:
    """The recipes that ship with the factory."""
    return sorted(module.name.replace("_", "-") for module in iter_modules(__path__))


def load_recipe(name: str) -> Recipe:
    """The recipe of this name, or the one in this `.py` file, where it is called `RECIPE`.

    A file is executed: load only what you would run. Raises ValueError for an unknown name (the
    known ones are listed) and for a file that does not define a recipe.
    """
    if name.endswith(".py"):
        return _recipe_in(_module_from(Path(name)), name)
    if name not in recipe_names():
        raise ValueError(
            f"unknown recipe {name!r}: known are {', '.join(recipe_names())}, "
            "or give the path of a .py file that defines RECIPE"
        )
    module = importlib.import_module(f"factory.recipes.{name.replace('-', '_')}")
    return _recipe_in(module, name)


def recipe_description(recipe: Recipe, name: str) -> dict[str, Any]:
    """The recipe's description; a file adds the hash of its bytes, since fields name no code."""
    if not name.endswith(".py"):
        return recipe.description
    code = hashlib.blake2b(Path(name).read_bytes(), digest_size=8)
    return {**recipe.description, "file_hash": code.hexdigest()}


def _recipe_in(module: object, name: str) -> Recipe:
    recipe = getattr(module, "RECIPE", None)
    if not isinstance(recipe, Recipe):
        raise ValueError(f"{name} does not define RECIPE = Recipe(...)")
    return recipe


def _module_from(path: Path) -> object:
    if not path.is_file():
        raise ValueError(f"recipe file {path} does not exist")
    spec = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up while they are made
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"recipe file {path} cannot be loaded: {error!r}") from error
    finally:
        del sys.modules[spec.name]  # so that workers get the file's classes by value
    return module
