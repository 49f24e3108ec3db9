"""The sandbox beside a generative scorer, or none where its form runs no code."""

from collections.abc import Sequence

from factory.errors import InputError, shortened
from factory.job import SandboxSection
from factory.job_stages import OpenSandbox
from factory.programs.critique import CodeRunner
from workers.sandbox import CellResult, SandboxUnavailable


class NoSandbox:
    """For forms without code."""

    async def run(self, cells: Sequence[str]) -> CellResult:
        raise AssertionError("a form without code asked for code to be run")


def open_sandbox(runs_code: bool, *, unsafe: bool = False) -> CodeRunner:
    """Raises InputError where code is to be run and nothing isolates it."""
    if not runs_code:
        return NoSandbox()
    try:
        return OpenSandbox(section=SandboxSection(unsafe=unsafe))()
    except SandboxUnavailable as error:
        raise InputError(f"{shortened(error, 500)} Or: --unsafe-sandbox.") from error
