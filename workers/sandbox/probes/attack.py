"""Runs one attack and says what it achieved."""

from typing import TYPE_CHECKING

from workers.sandbox.cells import CellResult, CellStatus
from workers.sandbox.probes.host import Host
from workers.sandbox.probes.probe import PRELUDE, Probe

if TYPE_CHECKING:
    from workers.sandbox.pool import Sandbox

_AFTERWARDS = "import sympy\nprint(6 * 7, sympy.sqrt(8))"
_EXPECTED = CellResult(output="42 2*sqrt(2)\n", status=CellStatus.OK)


async def attack(sandbox: "Sandbox", probe: Probe, host: Host) -> list[str]:
    """What the probe breached; empty if it got nowhere and the sandbox works as before."""
    prelude = PRELUDE + host.prelude()
    results = [await sandbox.run([prelude + probe.code])]
    ending = results[0].status
    if probe.then:
        results.append(await sandbox.run([prelude + probe.then]))
    found = []
    for result in results:
        if "BREACH" in result.output:
            found.append(result.output[result.output.index("BREACH") :][:200].strip())
        if host.token in result.output:
            found.append("the token was read")
    if probe.may_end is not None and ending not in probe.may_end:
        found.append(f"it ended as {ending}: {results[0].output[-200:]}")
    found += host.damage()
    if (after := await sandbox.run([_AFTERWARDS])) != _EXPECTED:
        found.append(f"the sandbox then answered {after}")
    return found
