"""A tiny language model for a whole session, and streams that end without a sleep."""

import pytest

from tests.training.builders import save_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True, scope="session")
def quick_streams(no_sleep_after_streams: None) -> None:
    """Training reads them many times."""
