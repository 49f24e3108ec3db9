"""Shared by all tests: one local Ray cluster for those that need one."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local cluster, started once and stopped at the end."""
    from factory.cluster import open_cluster

    with open_cluster():
        yield
