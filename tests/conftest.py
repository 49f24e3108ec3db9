"""Shared by all tests: one local Ray cluster for those that need one, and no deadlines."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("shared machine", deadline=None)  # first calls import, others wait
settings.load_profile("shared machine")
# Background jobs of a shell ignore Ctrl-C, and so would the commands that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A local cluster, started once and stopped at the end."""
    from factory.cluster import open_cluster

    os.environ.setdefault("RAY_metrics_report_interval_ms", "2000")  # 10 s by default
    with open_cluster():
        yield


@pytest.fixture(scope="session")
def no_sleep_after_streams() -> Iterator[None]:
    """`datasets` sleeps for seconds at the end of each pass over a stream of local Parquet."""
    from datasets import config

    before = config.SLEEP_TIME_ON_THREADS_SHUTDOWN
    config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0
    yield
    config.SLEEP_TIME_ON_THREADS_SHUTDOWN = before


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """An S3 server on this machine."""
    from tests.object_store import ObjectStore

    server = ObjectStore()
    yield server.url
    server.stop()


@pytest.fixture
def bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of the test's own, reached as a person would: by the environment."""
    from uuid import uuid4

    import s3fs

    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_url,
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"bucket-{uuid4().hex}"
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}"
