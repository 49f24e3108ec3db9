"""Addresses of clusters that are none end with one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from factory.cluster import connect
from factory.errors import InputError


def never(**options: object) -> None:
    raise AssertionError("Ray was asked")


@pytest.mark.parametrize("address", ["http://head:8265", "https://head"])
def test_a_dashboards_address_is_not_the_clusters(address: str) -> None:
    with pytest.raises(InputError, match=r"that is for --address .* takes host:port or auto"):
        connect(address, never)


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("auto", ConnectionError("Could not find any running Ray instance.\nPlease specify one")),
        ("garbage", ValueError("Invalid address format: garbage")),
        ("auto", RuntimeError("Version mismatch")),
    ],
)
def test_what_ray_says_of_an_address_is_one_line(address: str, error: Exception) -> None:
    def init(**options: object) -> None:
        raise error

    with pytest.raises(InputError) as refused:
        connect(address, init)
    assert f"at RAY_ADDRESS={address} ({str(error)[:10]}" in str(refused.value)
    assert "unset RAY_ADDRESS to run on this machine alone" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_nobody_at_the_address_is_said_before_ray_tries_for_minutes() -> None:
    with pytest.raises(InputError, match=r"no Ray cluster answers at RAY_ADDRESS=127.0.0.1:9"):
        connect("127.0.0.1:9", never)


TOLD_TO_END = """
import os, signal, sys, time
from factory.cluster import open_cluster
from factory.ending import sigterm_ends

def told_to_end():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)

with sigterm_ends():
    try:
        with open_cluster():
            told_to_end()
    except SystemExit as left:
        print("inside", left.code, flush=True)
    try:
        told_to_end()
    except SystemExit as left:
        print("afterwards", left.code, flush=True)
"""


@pytest.mark.ray
def test_sigterm_unwinds_while_ray_runs_and_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    done = subprocess.run(
        [sys.executable, "-c", TOLD_TO_END],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert (done.returncode, done.stdout.split("\n")) == (0, ["inside 143", "afterwards 143", ""])
