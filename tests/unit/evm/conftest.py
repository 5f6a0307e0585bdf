"""What the fork's tests share."""

from collections.abc import Iterator

import pytest

from tests.kit.fork import Fork


@pytest.fixture
def fork() -> Iterator[Fork]:
    """A fresh fork without operators."""
    made = Fork()
    yield made
    made.close()
