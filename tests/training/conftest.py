"""A tiny language model for a whole session, and streams that end without a sleep."""

from collections.abc import Iterator

import pytest

from tests.training.builders import save_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True, scope="session")
def no_sleep_after_streams() -> Iterator[None]:
    """`datasets` sleeps for seconds at the end of each pass over a stream of local Parquet."""
    from datasets import config

    before = config.SLEEP_TIME_ON_THREADS_SHUTDOWN
    config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0
    yield
    config.SLEEP_TIME_ON_THREADS_SHUTDOWN = before
