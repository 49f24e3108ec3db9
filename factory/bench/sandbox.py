"""What the sandbox keeps in, and what a cell costs in it.

Rates are per core: blocks over the processor seconds that the zygotes, their forks and this process
spent on them, so that other work on the machine does not count. The comparison with a cold start is
one of clock time, both ways taken in turn.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from factory.bench.report import write_report
from workers.sandbox import CellStatus, Limits, Sandbox, SandboxUnavailable
from workers.sandbox.launch import BUBBLEWRAP, LANDLOCK, UNSAFE, make_launch, wrap
from workers.sandbox.probes import PROBES, Host, attack

SYMPY_BLOCKS = (
    """
import sympy as sp
x = sp.symbols("x")
roots = sp.solve(x**2 - 7*x + 10, x)
print("roots:", roots, "as claimed:", set(roots) == {2, 5})
""",
    """
from sympy import symbols, expand
a, b = symbols("a b")
left, right = (a + b)**3, a**3 + 3*a**2*b + 3*a*b**2 + b**3
print("expanded:", expand(left))
print("difference:", expand(left - right))
""",
    """
from sympy import symbols, Eq, solve
x, y = symbols("x y")
solution = solve([Eq(x + y, 22), Eq(2*x - y, 5)], [x, y])
print("solution:", solution, "as claimed:", solution == {x: 9, y: 13})
""",
    """
from sympy import symbols, diff, simplify, sin, cos
t = symbols("t")
slope = diff(t * sin(t), t)
print("derivative:", slope, "difference:", simplify(slope - sin(t) - t * cos(t)))
""",
    """
from sympy import Rational, sqrt, nsimplify
total = Rational(3, 4) + Rational(1, 6)
print("sum:", total, float(total), "root:", sqrt(72), sqrt(72) == 6 * sqrt(2))
""",
)
"""What a teacher writes to check one step: one thing computed, printed and compared."""
TRIVIAL_BLOCK = "total = 30 + 22\nprint(total == 52)"
TARGET_SPEEDUP, TARGET_SYMPY_PER_S = 20.0, 30.0
_PROBE_LIMITS = Limits(cpu_s=1.0, wall_s=3.0)
_NUM_COLD, _NUM_SYMPY, _NUM_TRIVIAL = 2, 30, 200
"""Times that each block is run."""


class _Bubblewrap(Sandbox):
    isolations = (BUBBLEWRAP,)


class _Landlock(Sandbox):
    isolations = (LANDLOCK,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    """How many attacks were made, and what the successful ones achieved."""

    num_probes: int
    breaches: dict[str, list[str]]


def measure() -> dict[str, Any]:
    """Attacks every isolation of this machine, times the best one, writes the report.

    Raises SandboxUnavailable where there is none.
    """
    attacked = {each.isolations[0]: _attacked_in(each) for each in (_Bubblewrap, _Landlock)}
    control = _attacked_without()
    sandbox = Sandbox()
    try:
        figures: dict[str, Any] = {
            "isolation": sandbox.isolation,
            "isolations_attacked": [name for name, each in attacked.items() if each],
            "probes": sum(each.num_probes for each in attacked.values() if each),
            "breaches": sum(len(each.breaches) for each in attacked.values() if each),
            "breached": {name: each.breaches for name, each in attacked.items() if each},
            "probes_unsafe": control.num_probes,
            "breaches_unsafe": len(control.breaches),
            **_speedup(sandbox),
            "sympy_blocks_per_s_core": _rate(sandbox, SYMPY_BLOCKS * _NUM_SYMPY),
            "trivial_blocks_per_s_core": _rate(sandbox, (TRIVIAL_BLOCK,) * _NUM_TRIVIAL),
        }
    finally:
        sandbox.close()
    _show(figures)
    write_report("sandbox", figures)
    return figures


def _attacked_in(kind: type[Sandbox]) -> Attacked | None:
    with Host() as host:
        try:
            sandbox = kind(limits=_PROBE_LIMITS)
        except SandboxUnavailable:
            return None
        try:
            found = {p.name: asyncio.run(attack(sandbox, p, host)) for p in PROBES}
        finally:
            sandbox.close()
    return Attacked(num_probes=len(PROBES), breaches={n: b for n, b in found.items() if b})


def _attacked_without() -> Attacked:
    """The harmless probes with nothing in their way: most must succeed, or they show nothing."""
    found = {}
    sandbox = Sandbox(unsafe=True, limits=_PROBE_LIMITS)
    try:
        for probe in PROBES:
            if probe.is_harmless:
                with Host() as host:
                    found[probe.name] = asyncio.run(attack(sandbox, probe, host))
    finally:
        sandbox.close()
    return Attacked(num_probes=len(found), breaches={n: b for n, b in found.items() if b})


def _cold_prefix() -> list[str]:
    """What puts a cold interpreter into bubblewrap; nothing where that does not work."""
    try:
        prefix = wrap([])
    except SandboxUnavailable:
        return []
    done = subprocess.run([*prefix, *_cold_python("")], env={}, capture_output=True)
    return prefix if done.returncode == 0 else []


def _cold_python(block: str) -> list[str]:
    sites = json.loads(make_launch(UNSAFE, Limits()).command[-1])["sites"]
    code = f"import sys\nsys.path += {sites!r}\n{block}"
    return [os.path.realpath(sys.executable), "-S", "-s", "-P", "-B", "-c", code]


def _speedup(sandbox: Sandbox) -> dict[str, float | str]:
    prefix = _cold_prefix()
    cold, warm = [], []
    for block in SYMPY_BLOCKS * _NUM_COLD:
        command = [*prefix, *_cold_python(block)]
        start = time.perf_counter()
        subprocess.run(command, env={}, check=True, stdout=subprocess.DEVNULL)
        cold.append(time.perf_counter() - start)
        for _ in range(3):
            start = time.perf_counter()
            _run(sandbox, block)
            warm.append(time.perf_counter() - start)
    cold_s, warm_s = statistics.median(cold), statistics.median(warm)
    return {
        "cold": BUBBLEWRAP if prefix else "bare",
        "cold_ms": round(cold_s * 1000, 1),
        "warm_ms": round(warm_s * 1000, 1),
        "speedup_vs_cold": round(cold_s / warm_s, 1),
    }


def _rate(sandbox: Sandbox, blocks: Sequence[str]) -> float:
    async def all_of_them() -> None:
        for block in blocks:
            result = await sandbox.run([block])
            assert result.status is CellStatus.OK, result

    _run(sandbox, blocks[0])
    start = _cpu_s(os.getpid())
    asyncio.run(all_of_them())
    return round(len(blocks) / (_cpu_s(os.getpid()) - start), 1)


def _run(sandbox: Sandbox, block: str) -> None:
    result = asyncio.run(sandbox.run([block]))
    assert result.status is CellStatus.OK, result


def _cpu_s(root: int) -> float:
    """Processor time of a process and all below it, those they have reaped among them."""
    own: dict[int, int] = {}
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
        own[int(stat.parent.name)] = sum(map(int, fields[11:15]))
    family = [root]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid]
    return sum(own[pid] for pid in family) / os.sysconf("SC_CLK_TCK")


def _show(figures: Mapping[str, Any]) -> None:
    table = Table("what", "measured", "target", box=None, pad_edge=False)
    attacked = ", ".join(figures["isolations_attacked"])
    table.add_row("isolation", str(figures["isolation"]), "")
    rows = [
        (f"breaches of {figures['probes']} attacks ({attacked})", "breaches", "0"),
        (f"the same without isolation, of {figures['probes_unsafe']}", "breaches_unsafe", "many"),
        (f"cold start ({figures['cold']}), ms", "cold_ms", ""),
        ("fork of a zygote, ms", "warm_ms", ""),
        ("cold over fork", "speedup_vs_cold", f"{TARGET_SPEEDUP:.0f}"),
        ("sympy blocks per s and core", "sympy_blocks_per_s_core", f"{TARGET_SYMPY_PER_S:.0f}"),
        ("trivial blocks per s and core", "trivial_blocks_per_s_core", ""),
    ]
    for name, key, target in rows:
        table.add_row(name, str(figures[key]), target)
    Console().print(table)


if __name__ == "__main__":
    measure()
