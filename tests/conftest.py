"""Shared by all tests: one local Ray cluster for those that need one, and no deadlines."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("shared machine", deadline=None)  # first calls import, others wait
settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local cluster, started once and stopped at the end."""
    from factory.cluster import open_cluster

    os.environ.setdefault("RAY_metrics_report_interval_ms", "2000")  # 10 s by default
    with open_cluster():
        yield
