"""The attacks that a sandbox has to withstand, and how to tell whether it did."""

from workers.sandbox.probes import files, forging, network, processes, resources
from workers.sandbox.probes.attack import attack
from workers.sandbox.probes.host import Host
from workers.sandbox.probes.probe import Probe

PROBES: tuple[Probe, ...] = (
    *network.PROBES,
    *files.PROBES,
    *processes.PROBES,
    *resources.PROBES,
    *forging.PROBES,
)

__all__ = ["PROBES", "Host", "Probe", "attack"]
