"""What several of these files start from: a fork in this process, or a real anvil with the protocol."""

from collections.abc import Iterator

import pytest

from tests.kit.anvil import Anvil, Stage, set_stage
from tests.kit.fork import Fork


@pytest.fixture(scope="module")
def fork() -> Iterator[Fork]:
    """A fork with an operator."""
    made = Fork()
    made.add_operator()
    yield made
    made.close()


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One set-up of the circuit for all tests, and no proof of an earlier run."""
    monkeypatch.setenv("FORETELL_CACHE", str(tmp_path_factory.getbasetemp() / "foretell-cache"))


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    """A chain that nobody else uses."""
    process = Anvil()
    process.start()
    yield process
    process.stop()


@pytest.fixture
def stage(anvil: Anvil) -> Stage:
    """The protocol on it."""
    return set_stage(anvil)
