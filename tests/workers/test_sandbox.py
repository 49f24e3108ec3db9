"""What cells may do, what they print, and how they end."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from factory.job import SandboxSection
from factory.job_stages import OpenSandbox
from workers.sandbox import CellResult, CellStatus, Limits, Sandbox, SandboxUnavailable

LIMITS = Limits(wall_s=2.0, cpu_s=2)
SLACK_S = 3.0
"""A test machine may be crowded."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        made = Sandbox(num_workers=2, limits=LIMITS)
    except SandboxUnavailable as error:
        pytest.skip(f"this machine isolates nothing: {error}")
    yield made
    made.close()


def run(sandbox: Sandbox, *cells: str) -> CellResult:
    return asyncio.run(sandbox.run(cells))


def ok(output: str) -> CellResult:
    return CellResult(output=output, status=CellStatus.OK)


SYMPY = """
from sympy import symbols, solve, simplify
x = symbols("x")
print(solve(x**2 - 5*x + 6, x))
print(simplify((x**2 - 1)/(x - 1)))
"""


@pytest.mark.parametrize(
    ("cells", "output"),
    [
        ([""], ""),
        (["1 + 1"], ""),
        (["print('é', '√2', '\\ud800')"], "é √2 ?\n"),
        (["import os\nos.write(1, b'a\\xffz')"], "a\ufffdz"),
        (["import sys\nprint(1)\nprint(2, file=sys.stderr)\nprint(3)"], "1\n2\n3\n"),
        ([SYMPY], "[2, 3]\nx + 1\n"),
        (["import numpy as np\nprint(np.arange(3).sum())"], "3\n"),
        (["print(__name__)"], "__main__\n"),
        (["import sys\nprint(sys.argv)"], "['']\n"),
        (["print('before')\nexit()\nprint('after')"], "before\n"),
        (["x = 6", "print('not shown')\ny = 7", "print(x * y)"], "42\n"),
        (["x = 1\n1/0\nx = 2", "print(x)"], "1\n"),
        (["def (", "print(5)"], "5\n"),
        (["import sys\nsys.stdout = None", "print(5)"], "5\n"),
        (["raise SystemExit(3)", "print(5)"], "5\n"),
        (["x = ' ' * (1 << 40)", "print(5)"], "5\n"),
        (["#" * (LIMITS.code_bytes + 1), "print(5)"], "5\n"),
        (["import sympy.physics.units, fractions, sympy.stats\nprint(5)"], "5\n"),
    ],
)
def test_what_is_printed_is_what_comes_back(
    sandbox: Sandbox, cells: list[str], output: str
) -> None:
    assert run(sandbox, *cells) == ok(output)


@pytest.mark.parametrize(
    ("code", "output"),
    [
        (
            "print(1)\n1 / 0",
            '1\nTraceback (most recent call last):\n  File "<cell>", line 2, in <module>\n'
            "    1 / 0\n    ~~^~~\nZeroDivisionError: division by zero\n",
        ),
        (
            "def f(:",
            '  File "<cell>", line 1\n    def f(:\n          ^\nSyntaxError: invalid syntax\n',
        ),
        ("exit('no')", "no\n"),
        ("exit(3)", ""),
    ],
)
def test_an_error_is_shown_as_python_shows_it(sandbox: Sandbox, code: str, output: str) -> None:
    assert run(sandbox, code) == CellResult(output=output, status=CellStatus.ERROR)


@pytest.mark.parametrize(
    ("code", "last_line"),
    [
        ("input()", "EOFError: EOF when reading a line"),
        (
            "import json\njson.loads('{')",
            "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)",
        ),
        (
            "from sympy import no_such_thing",
            "ImportError: cannot import name 'no_such_thing' from 'sympy' (sympy/__init__.py)",
        ),
        (
            "def f():\n    return f()\nf()",
            "RecursionError: maximum recursion depth exceeded",
        ),
    ],
)
def test_an_error_shows_the_cell_and_nothing_of_this_machine(
    sandbox: Sandbox, code: str, last_line: str
) -> None:
    lines = run(sandbox, code).output.splitlines()
    assert lines[:1] == ["Traceback (most recent call last):"]
    assert lines[-1] == last_line
    assert {line.split(",")[0] for line in lines if line.startswith("  File")} == {
        '  File "<cell>"'
    }
    assert len(lines) < 20


def test_a_traceback_through_an_earlier_cell_shows_its_own_lines(sandbox: Sandbox) -> None:
    result = run(sandbox, "\ndef half(x):\n    return x / 0", "# a comment\n\nhalf(1)")
    assert 'File "<cell>", line 3, in <module>\n    half(1)' in result.output
    assert 'File "<cell 1>", line 3, in half\n    return x / 0' in result.output


@pytest.mark.parametrize(
    ("cells", "status"),
    [
        (["while True: pass"], CellStatus.TIMEOUT),
        (["x = ' ' * (1 << 40)"], CellStatus.MEMORY),
        (["while True: print('x' * 99)"], CellStatus.FLOOD),
        (["import os\nos._exit(0)"], CellStatus.KILLED),
        (["while True: pass", "print(5)"], CellStatus.REPLAY),
        (["import os\nos._exit(0)", "print(5)"], CellStatus.REPLAY),
        (["while True: print('x' * 99)", "print(5)"], CellStatus.REPLAY),
        (["eval('1\\0')"], CellStatus.ERROR),
        (["\0"], CellStatus.ERROR),
        (["\ud800"], CellStatus.ERROR),
        (["raise GeneratorExit"], CellStatus.ERROR),
        (["\x7f\xab" * 20_000], CellStatus.ERROR),
    ],
)
def test_how_a_cell_ends(sandbox: Sandbox, cells: list[str], status: CellStatus) -> None:
    start = time.monotonic()
    assert run(sandbox, *cells).status is status
    assert time.monotonic() - start < LIMITS.wall_s + SLACK_S


def test_what_was_printed_before_the_end_is_kept(sandbox: Sandbox) -> None:
    assert run(sandbox, "print('so far')\nwhile True: pass").output == "so far\n"
    flood = run(sandbox, "while True: print('é' * 99)").output
    assert len(flood.encode(errors="replace")) >= LIMITS.output_bytes
    assert len(flood.encode(errors="replace")) < LIMITS.output_bytes + 4


def test_output_up_to_the_limit_is_no_flood(sandbox: Sandbox) -> None:
    full = "x" * LIMITS.output_bytes
    assert run(sandbox, f"print('x' * {len(full)}, end='')") == ok(full)
    assert run(sandbox, f"print('x' * {len(full)})").status is CellStatus.FLOOD


def test_a_megabyte_of_code_is_refused(sandbox: Sandbox) -> None:
    result = run(sandbox, "garbage " * 131_072)
    assert result.status is CellStatus.ERROR
    assert result.output == "The code has 1,048,576 bytes, more than the 65,536 allowed; " + (
        "it was not run.\n"
    )


def test_code_that_waits_has_longer_than_code_that_computes() -> None:
    made = OpenSandbox(section=SandboxSection(wall_s=0.2, unsafe=True))()
    try:
        assert run(made, "import time\ntime.sleep(0.5)\nprint(5)") == ok("5\n")
        assert run(made, "while True: pass").status is CellStatus.TIMEOUT
        assert run(made, "import time\ntime.sleep(100)").status is CellStatus.TIMEOUT
    finally:
        made.close()


def test_each_replayed_cell_has_the_limits_anew(sandbox: Sandbox) -> None:
    nap = f"import time\ntime.sleep({LIMITS.wall_s * 0.6})"
    assert run(sandbox, nap, nap, "print(5)") == ok("5\n")


def test_no_cell_is_a_mistake_of_the_caller(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="no cell"):
        run(sandbox)


def test_the_same_cell_prints_the_same(sandbox: Sandbox) -> None:
    code = (
        "import random, numpy\nprint(random.random(), numpy.random.rand(), {*'abcdef'}, hash('a'))"
    )
    first = run(sandbox, code)
    assert first.status is CellStatus.OK
    assert {run(sandbox, code) for _ in range(4)} == {first}


def test_twenty_callers_share_two_workers(sandbox: Sandbox) -> None:
    async def all_at_once() -> list[CellResult]:
        cells = [["x = 1", f"import sympy\nprint(sympy.Integer({i})**2 + x)"] for i in range(20)]
        return list(await asyncio.gather(*map(sandbox.run, cells)))

    assert asyncio.run(all_at_once()) == [ok(f"{i * i + 1}\n") for i in range(20)]


def test_a_caller_who_gave_up_costs_nothing(sandbox: Sandbox) -> None:
    async def give_up() -> None:
        tasks = [asyncio.create_task(sandbox.run(["while True: pass"])) for _ in range(8)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    start = time.monotonic()
    asyncio.run(give_up())
    assert run(sandbox, "print(5)") == ok("5\n")
    assert time.monotonic() - start < LIMITS.wall_s + SLACK_S
