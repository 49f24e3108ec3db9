"""Runs a critique's check where a sandbox would be too much: printed arithmetic and nothing else.

What is not on the short list of allowed syntax is refused before it runs, so a model's text can do
no harm here. The pipeline runs any Python, in a sandbox; on a critique both print the same.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from fractions import Fraction

_ALLOWED = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.USub,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.Mod,
    ast.Compare,
    ast.Eq,
    ast.Constant,
    ast.Call,
    ast.Name,
    ast.Load,
)
MAX_CODE_CHARS = 500


def run_checks(blocks: Sequence[str]) -> str:
    """What the last block prints after all before it; an error's name and message where it fails"""
    names: dict[str, type[Fraction]] = {}
    printed: list[str] = []
    for block in blocks:
        printed = []
        try:
            for statement in _statements(block):
                if isinstance(statement, ast.ImportFrom):
                    names["F"] = Fraction
                else:
                    printed.append(str(_value(statement, names)))
        except (SyntaxError, NameError, TypeError, ArithmeticError, ValueError) as error:
            printed.append(f"{type(error).__name__}: {error}")
    return "\n".join(printed)


def _statements(block: str) -> list[ast.ImportFrom | ast.expr]:
    """Imports of Fraction as F, and what is printed."""
    if len(block) > MAX_CODE_CHARS:
        raise ValueError(f"{len(block)} characters of code, at most {MAX_CODE_CHARS} are run")
    found: list[ast.ImportFrom | ast.expr] = []
    for statement in ast.parse(block).body:
        if isinstance(statement, ast.ImportFrom):
            if ast.unparse(statement) != "from fractions import Fraction as F":
                raise ValueError("only Fraction can be imported here, as F")
            found.append(statement)
            continue
        call = statement.value if isinstance(statement, ast.Expr) else None
        if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "print"):
            raise ValueError("only print is run here")
        if len(call.args) != 1 or call.keywords:
            raise ValueError("print takes one value here")
        found.append(call.args[0])
    return found


def _value(expression: ast.expr, names: dict[str, type[Fraction]]) -> object:
    for node in ast.walk(expression):
        if not isinstance(node, _ALLOWED):
            raise ValueError(f"{type(node).__name__} is not run here")
        if isinstance(node, ast.Call) and ast.unparse(node.func) != "F":
            raise ValueError("only F can be called here")
        if isinstance(node, (ast.BinOp, ast.Call)) and any(_is_text(n) for n in ast.walk(node)):
            raise ValueError("no arithmetic on text here")
    code = compile(ast.Expression(body=expression), "check", "eval")
    return eval(code, {"__builtins__": {}, **names})


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and not isinstance(node.value, int | None)
