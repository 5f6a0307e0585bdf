from collections.abc import Iterator

import pytest

from tests.kit.pipeline import PipelineFork


@pytest.fixture
def fork() -> Iterator[PipelineFork]:
    made = PipelineFork()
    yield made
    made.close()
