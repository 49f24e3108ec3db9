"""Imports go one way, and light packages stay light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("ray", "vllm", "torch", "transformers", "datasets")
FORBIDDEN = {
    "schemas": ("workers", "factory"),
    "workers": ("factory",),
    "factory/core": ("workers", "ray", "vllm", "torch", "pyarrow", "os", "pathlib", "random"),
    "factory/recipes": ("workers", "ray", "vllm", "torch"),
    "factory/programs": ("ray", "vllm", "torch"),
}
"""What no file of a folder may import, not even inside a function."""
INNER = {
    "factory/core": ("factory.core",),
    "factory/recipes": ("factory.core", "factory.recipes"),
    "factory/programs": ("factory.core", "factory.programs"),
}
"""The only modules of the factory that files of a folder may import."""


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever it does so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield str(node.module)


def is_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def modules(folder: str) -> list[str]:
    """Every module below a folder, by its dotted name."""
    found = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / folder).rglob("*.py")]
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in found)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_follow_the_arrows(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    wrong = [(f.name, m) for f in files for m in imported(f) if is_in(m, FORBIDDEN[folder])]
    assert wrong == []


@pytest.mark.parametrize("folder", INNER)
def test_the_inner_rooms_know_nothing_of_the_outer_ones(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    ours = [(f.name, m) for f in files for m in imported(f) if is_in(m, ("factory",))]
    assert ours
    assert [(name, m) for name, m in ours if not is_in(m, INNER[folder])] == []


@pytest.mark.parametrize("folder", ["schemas", "factory/core", "factory/recipes"])
def test_importing_light_packages_loads_nothing_heavy(folder: str) -> None:
    names = modules(folder)
    code = (
        f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
