"""vLLM's engine arguments, without vLLM: how many GPUs they ask for, and whether it has them."""

import ast
import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

PARALLEL_SIZES = tuple(
    f"{kind}_parallel_size" for kind in ("tensor", "pipeline", "data", "prefill_context")
)
"""An engine runs on as many GPUs as their product."""
SET_BY_US = frozenset({"model", "disable_log_stats"})


def world_size(arguments: Mapping[str, Any]) -> int:
    """GPUs that an engine with these arguments runs in parallel on, if it runs on GPUs."""
    return prod(arguments.get(name, 1) for name in PARALLEL_SIZES)


def unknown(arguments: Mapping[str, Any]) -> str | None:
    """A sentence on the first one that the vLLM installed here does not have, or that is ours to
    set; `None` where there is none, or no vLLM."""
    known = known_here() - SET_BY_US
    for name in arguments:
        if name in SET_BY_US:
            return f"{name} is set by us: leave it out"
        if known and name not in known:
            near = difflib.get_close_matches(name, known)
            hint = f": did you mean {' or '.join(near)}?" if near else ": leave it out"
            return f"vLLM has no engine argument {name!r}{hint}"
    return None


@cache
def known_here() -> frozenset[str]:
    """The names that the vLLM installed here knows.

    Read from vLLM's text: importing it takes ten seconds and changes the process. Empty where
    it is not installed, and where it has become something else."""
    package = find_spec("vllm")
    for folder in (package.submodule_search_locations or ()) if package else ():
        file = Path(folder) / "engine" / "arg_utils.py"
        if file.is_file():
            return frozenset(_fields(ast.parse(file.read_text(encoding="utf-8")), "EngineArgs"))
    return frozenset()


def _fields(module: ast.Module, name: str) -> Iterator[str]:
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for line in node.body:
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                    yield line.target.id
