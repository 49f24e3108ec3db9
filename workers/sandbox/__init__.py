"""The sandbox: Python that a language model wrote is run here, and nowhere else."""

from workers.sandbox.cells import WAIT_FACTOR, CellResult, CellStatus, Limits
from workers.sandbox.launch import SandboxUnavailable
from workers.sandbox.pool import Sandbox

__all__ = [
    "WAIT_FACTOR",
    "CellResult",
    "CellStatus",
    "Limits",
    "Sandbox",
    "SandboxUnavailable",
]
