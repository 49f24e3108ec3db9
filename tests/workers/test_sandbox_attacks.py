"""No attack gets anywhere, in any isolation of this machine; without one, they do."""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from workers.sandbox import Limits, Sandbox, SandboxUnavailable
from workers.sandbox.launch import BUBBLEWRAP, LANDLOCK
from workers.sandbox.probes import PROBES, Host, Probe, attack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="isolation is Linux's")
LIMITS = Limits(cpu_s=1.0, wall_s=3.0)
"""A crowded machine may take its time, and attacks that wait are few."""
CONTROLS = (
    "any socket",
    "tcp connection",
    "read /etc/passwd",
    "read a secret",
    "environment of a process",
    "write a file",
    "remove a secret",
    "fork",
    "run a program",
    "kill a process",
)


class _Bubblewrap(Sandbox):
    isolations = (BUBBLEWRAP,)


class _Landlock(Sandbox):
    isolations = (LANDLOCK,)


@dataclass(frozen=True, slots=True)
class Stage:
    host: Host
    sandbox: Sandbox


@pytest.fixture(scope="module", params=[_Bubblewrap, _Landlock], ids=[BUBBLEWRAP, LANDLOCK])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with Host() as host:
        try:
            sandbox = request.param(limits=LIMITS)
        except SandboxUnavailable as error:
            pytest.skip(str(error))
        yield Stage(host, sandbox)
        sandbox.close()


def test_there_are_many_probes_and_each_has_a_name_of_its_own() -> None:
    assert len({probe.name for probe in PROBES}) == len(PROBES) >= 45


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_an_attack_gets_nowhere(stage: Stage, probe: Probe) -> None:
    assert asyncio.run(attack(stage.sandbox, probe, stage.host)) == []


@pytest.mark.parametrize("name", CONTROLS)
def test_the_same_attack_succeeds_where_nothing_stops_it(name: str) -> None:
    """Otherwise the suite would show nothing."""
    (probe,) = [probe for probe in PROBES if probe.name == name]
    assert probe.is_harmless
    with Host() as host:
        assert asyncio.run(attack(_unsafe(), probe, host)) != []


_UNSAFE: list[Sandbox] = []


def _unsafe() -> Sandbox:
    if not _UNSAFE:
        _UNSAFE.append(Sandbox(unsafe=True, limits=LIMITS))
    return _UNSAFE[0]


@pytest.fixture(scope="module", autouse=True)
def _close_unsafe() -> Iterator[None]:
    yield
    while _UNSAFE:
        _UNSAFE.pop().close()
