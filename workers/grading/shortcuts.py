"""Two shortcuts inside math-verify that change no verdict and halve the time of a typical check.

They replace one function each of the libraries, in grading processes only. Where the libraries'
inside is not as expected, they are left alone and only the speed is lost.
"""

from collections.abc import Callable
from typing import Any

_POINTS = ("0.7310585786300049", "1.4142135623730951", "2.2360679774997896", "3.1622776601683795")
_CLEARLY = 1e-6
"""Relative difference; math-verify has already compared 15 digits when this is asked."""


def install() -> None:
    """Puts both in place, in this process."""
    from latex2sympy2_extended import latex2sympy2
    from math_verify import grader

    converter = getattr(latex2sympy2, "_Latex2Sympy", None)
    if converter is not None and hasattr(converter, "create_parser"):
        converter.create_parser = _in_two_stages(converter.create_parser)
    if hasattr(grader, "sympy_symbolic_eq"):
        grader.sympy_symbolic_eq = _refuted_by_numbers(grader.sympy_symbolic_eq)


def _in_two_stages(create_parser: Callable[..., Any]) -> Callable[..., Any]:
    """Tries ANTLR's SLL prediction before its slower LL.

    An SLL parse that succeeds is the LL parse (antlr4's PredictionMode says so); one that fails is
    done again from the start.
    """
    from antlr4.atn.PredictionMode import PredictionMode

    def create(self: Any, latex: str) -> Any:
        parser = create_parser(self, latex)
        parser._interp.predictionMode = PredictionMode.SLL
        parse_sooner = parser.math

        def parse() -> Any:
            try:
                return parse_sooner()
            except Exception:  # the grammar's error listener raises just that
                return create_parser(self, latex).math()

        parser.math = parse
        return parser

    return create


def _refuted_by_numbers(is_same: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Skips `simplify(a - b) == 0` where a and b clearly differ at one point.

    Only for sums, products and powers of numbers and up to four symbols; at positive points, so
    that no branch of a root is in doubt.
    """
    from sympy import Add, Expr, Float, Mul, Number, NumberSymbol, Pow, Symbol, preorder_traversal

    plain = (Add, Mul, Pow, Number, NumberSymbol, Symbol)

    def differ(a: Any, b: Any) -> bool:
        if not (isinstance(a, Expr) and isinstance(b, Expr)):
            return False
        nodes = [node for side in (a, b) for node in preorder_traversal(side)]
        if len(nodes) > 200 or not all(isinstance(node, plain) for node in nodes):
            return False
        symbols = sorted(a.free_symbols | b.free_symbols, key=str)
        if len(symbols) > len(_POINTS):
            return False
        point = dict(zip(symbols, map(Float, _POINTS), strict=False))
        try:
            left, right = (complex(side.evalf(15, subs=point)) for side in (a, b))
            return abs(left - right) > _CLEARLY * max(abs(left), abs(right))
        except (ArithmeticError, TypeError, ValueError):
            return False

    return lambda a, b: False if differ(a, b) else is_same(a, b)
