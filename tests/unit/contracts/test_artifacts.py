"""The shipped artefacts: complete, deployable, and those of the sources."""

from pathlib import Path

import pytest
import vyper
from eth_utils import keccak

from foretell_contracts import load, names
from scripts.build_artifacts import MAX_RUNTIME_BYTES, SOURCES, compile_contract, deployed_size, render
from tests.kit.chain import Chain

BY_NAME = {Path(source).stem: source for source in SOURCES}


def test_names__every_deployable_and_example__is_shipped() -> None:
    assert set(names()) == set(BY_NAME)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_load__each_name__is_complete(name: str) -> None:
    artifact = load(name)
    assert artifact.name == name
    assert artifact.compiler == f"vyper {vyper.__version__}"
    assert len(artifact.runtime) < len(artifact.bytecode)
    assert len(artifact.source_hash) == 64
    assert any(entry["type"] in ("function", "fallback") for entry in artifact.abi)


def test_load__unknown_name__lists_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"no artifact 'Unknown'; there are .*Settlement"):
        load("Unknown")


def test_load__deployed__is_the_stated_runtime() -> None:
    chain = Chain()
    registry = chain.deploy(load("ModelRegistry"))
    code = chain.evm.get_code(registry.address) or b""
    assert code.startswith(load("ModelRegistry").runtime)


@pytest.mark.parametrize("source", SOURCES)
def test_size__every_deployable__fits_eip_170(source: str) -> None:
    assert deployed_size(compile_contract(Path(source))) <= MAX_RUNTIME_BYTES


def test_compile_contract__twice__renders_the_same_bytes() -> None:
    first, second = (render(compile_contract(Path("OperatorRegistry.vy"))) for _ in range(2))
    assert first == second
    assert str(Path.cwd()) not in first


def test_reusable_circuit__code__never_changes() -> None:
    """Manifests pin it, in folders that people have: a change needs a contract of another name."""
    code_hash = keccak(load("ReusableCircuit").runtime).hex()
    assert code_hash == "70731dc96565cd7a440ae6419cde05c7e5da9b310ff26d825fc87dfdacab6c84"
