"""What every cell finds already imported, and already used once.

Much of sympy is built on first use; a fork of a zygote that has used it does not pay for that. All
of it is the same for every cell: seeds are fixed, and nothing a cell did gets back here.
"""

import contextlib
import importlib
import io
import site

VARIABLES = frozenset({"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"})
"""Of the environment; libraries that cells import themselves make threads without them and fail."""
_MODULES = (
    "bisect cmath collections copy datetime decimal fractions functools heapq itertools json math "
    "mpmath numbers operator random re statistics string sympy time traceback typing warnings"
)
_ON_FIRST_USE = """
import numpy
from sympy import *
x, y, n = symbols("x y n")
k = symbols("k", integer=True, positive=True)
solve(x**2 - 3*x + 2, x), solve([x + y - 3, x - y - 1], [x, y]), solve(sqrt(x + 1) - 3, x)
solveset(x**2 - 2, x, S.Reals), solve(x**2 - 4 > 0, x), nsolve(cos(x) - x, x, 1)
simplify(sin(x)**2 + cos(x)**2), trigsimp(2*sin(x)*cos(x)), radsimp(1/(sqrt(3) + 1))
factor(x**3 - 1), expand((x + 1)**3), cancel((x**2 - 1)/(x - 1)), apart(1/(x**2 - 1))
diff(sin(x)*exp(x), x), integrate(x*exp(x), x), integrate(x**2, (x, 0, 1)), limit(sin(x)/x, x, 0)
series(exp(x), x, 0, 4), summation(k, (k, 1, n)), Sum(1/k**2, (k, 1, oo)).doit()
Matrix([[1, 2], [3, 4]]).det(), Matrix([[1, 2], [3, 4]]).inv(), Matrix([[2, 0], [0, 3]]).eigenvals()
sympify("2*x + 3/4"), Rational(1, 3) + Integer(2), N(pi, 20), latex(x/2), Eq(x, 1).subs(x, 1)
factorint(360), isprime(97), gcd(12, 18), binomial(5, 2), nsimplify(0.25), print(sqrt(8), x/2)
print(numpy.linalg.solve(numpy.eye(2), numpy.ones(2)), f"{float(pi):.3f}")
"""


def up() -> None:
    """Imports, uses and seeds. `exit` and `quit` are there, as in any Python."""
    site.setquit()
    for name in _MODULES.split():
        importlib.import_module(name)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(_ON_FIRST_USE, {"__name__": "warm"})
    numpy_random = importlib.import_module("numpy.random")
    numpy_random.seed(0)
    importlib.import_module("sympy.core.random").seed(0)
