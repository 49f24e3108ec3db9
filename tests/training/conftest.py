"""What the tests of training share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def no_sleep_after_streams() -> Iterator[None]:
    """`datasets` sleeps for seconds at the end of each pass over a stream of local Parquet."""
    from datasets import config

    before = config.SLEEP_TIME_ON_THREADS_SHUTDOWN
    config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0
    yield
    config.SLEEP_TIME_ON_THREADS_SHUTDOWN = before
