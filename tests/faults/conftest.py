"""One chain for all faults, one cache of circuits and proofs, and a report of what happened."""

from contextlib import contextmanager

import pytest

from foretell_relayer.models.store import CircuitCache, ModelStore
from foretell_relayer.prove import circuit
from tests.faults.observer import ROOT, Record, Report, long_profile
from tests.faults.relays import relayer
from tests.kit.anvil import VOLATILITY, Anvil, set_stage

REPORT = Report()


def pytest_sessionfinish(session):
    if REPORT.records:
        REPORT.write(ROOT / ".build" / "faults")
        profile = "long" if long_profile() else "short"
        print(f"\n\nFaults ({profile} profile), also in .build/faults:\n\n{REPORT.table()}")


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    """One set-up of the circuit, and each proof made once: the faults are about all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_CACHE", str(tmp_path_factory.mktemp("foretell-cache")))
        store = ModelStore([VOLATILITY], CircuitCache())
        store.prepare(next(iter(store)).model_id)
        yield


@contextmanager
def fresh_chain():
    process = Anvil("--slots-in-an-epoch", "1")
    process.start()
    try:
        yield set_stage(process)
    finally:
        process.stop()


@pytest.fixture(scope="session")
def chain():
    with fresh_chain() as made:
        yield made


@pytest.fixture
def stage(request):
    """The chain as it was after deployment."""
    if request.node.get_closest_marker("own_chain"):
        with fresh_chain() as made:
            yield made
        return
    chain = request.getfixturevalue("chain")
    snapshot = chain.anvil.rpc("evm_snapshot")
    yield chain
    chain.anvil.rpc("evm_setIntervalMining", 0)  # which ends mining at once, too
    chain.anvil.rpc("evm_setAutomine", True)
    chain.anvil.rpc("anvil_dropAllTransactions")
    assert chain.anvil.rpc("evm_revert", snapshot)


@pytest.fixture
def make(stage, tmp_path):
    """Makes relayers, and ends those that still run."""
    made = []

    def new(name="relay", **settings):
        made.append(relayer(stage, tmp_path / name, **settings))
        return made[-1]

    yield new
    for each in made:
        each.kill()


@pytest.fixture
def record(request):
    """A line of the report."""

    def new(fault, seed=0):
        REPORT.records.append(Record(fault, seed))
        return REPORT.records[-1]

    return new


@pytest.fixture(scope="session")
def right(chain):
    """The model's output for the stage's input."""
    store = ModelStore([VOLATILITY], CircuitCache())
    (folder,) = store
    return circuit.witness(store.circuit(folder.model_id).circuit, chain.inputs)
