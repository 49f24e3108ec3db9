"""Imports go one way, and light packages stay light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOPS = ("schemas", "workers", "factory")
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


def top_level_names(path: Path) -> set[str]:
    """What other modules can import from a file."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for inner in ast.walk(node) if isinstance(node, ast.If | ast.Try) else [node]:
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(inner.name)
            elif isinstance(inner, ast.Import | ast.ImportFrom):
                found |= {(alias.asname or alias.name).split(".")[0] for alias in inner.names}
            elif isinstance(inner, ast.Assign | ast.AnnAssign):
                targets = inner.targets if isinstance(inner, ast.Assign) else [inner.target]
                names = (name for target in targets for name in ast.walk(target))
                found |= {name.id for name in names if isinstance(name, ast.Name)}
    return found


def test_every_name_that_is_imported_from_our_modules_is_there() -> None:
    """Also inside functions, where nothing else tells until they are called."""
    missing = []
    ours = (*TOPS, "tests")
    for path in (f for top in ours for f in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not is_in(
                str(node.module), (*TOPS, "tests")
            ):
                continue
            module = ROOT / str(node.module).replace(".", "/")
            file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
            here = top_level_names(file) | {f.stem for f in module.glob("*")}
            missing += [(str(path), name.name) for name in node.names if name.name not in here]
    assert missing == []
