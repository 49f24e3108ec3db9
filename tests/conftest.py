"""Shared by all tests: one local Ray cluster for those that need one, and no deadlines."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("shared machine", deadline=None)  # first calls import, others wait
settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local cluster, started once and stopped at the end."""
    from factory.cluster import open_cluster

    with open_cluster():
        yield
