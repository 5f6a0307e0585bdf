"""One deployed world for all contract tests; each test runs on it and is undone."""

from collections.abc import Iterator

import pytest

from tests.kit.world import World


@pytest.fixture(scope="session")
def deployed_world() -> World:
    return World()


@pytest.fixture
def world(deployed_world: World) -> Iterator[World]:
    with deployed_world.chain.isolate():
        yield deployed_world
