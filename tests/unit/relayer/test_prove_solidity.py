"""The verifier contract: from EZKL's source to bytecode."""

import shutil

import pytest
from eth_utils import keccak

from foretell_relayer.models import gas
from foretell_relayer.prove import circuit, solidity
from foretell_relayer.prove.errors import CompilerFailed, InvalidProof, NoCompiler


@pytest.fixture(scope="module")
def verifier(tiny_circuit):
    return solidity.compile_verifier(circuit.verifier_source(tiny_circuit))


@pytest.fixture(scope="module")
def proof(tiny_circuit):
    return circuit.prove(tiny_circuit, (128, -64, 32))


def test_compile__verifier__fits_on_a_chain(verifier):
    assert verifier.fits
    assert verifier.code_hash == keccak(verifier.runtime)
    assert verifier.runtime in verifier.bytecode
    assert [entry["name"] for entry in verifier.abi] == ["verifyProof"]


def test_compile__again__same_code(verifier, tiny_circuit):
    assert solidity.compile_verifier(circuit.verifier_source(tiny_circuit)) == verifier


def test_gas__good_proof__contract_accepts_it(verifier, proof):
    found = gas.measure(verifier, proof.inputs, proof.outputs, proof.data)

    assert 300_000 < found.call < found.transaction < found.deployment


def test_gas__other_output__contract_refuses(verifier, proof):
    with pytest.raises(InvalidProof):
        gas.measure(verifier, proof.inputs, (proof.outputs[0] + 1, *proof.outputs[1:]), proof.data)


def test_compile__not_solidity__repeats_the_compilers_message():
    with pytest.raises(CompilerFailed, match=r"R-PRV-009: solc .*ParserError"):
        solidity.compile_verifier("contract {")


def test_compile__no_node__says_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)

    with pytest.raises(NoCompiler, match="install Node 20"):
        solidity.compile_verifier("")


def test_find_solc__not_there__says_what_to_run(monkeypatch, tmp_path):
    monkeypatch.setenv("FORETELL_SOLC", str(tmp_path))

    with pytest.raises(NoCompiler, match=r"R-PRV-008: .*npm install solc@0\.8\.30"):
        solidity.find_solc()


def test_find_solc__from_a_subfolder__finds_the_nearest(monkeypatch, tmp_path):
    package = tmp_path / "node_modules" / "solc"
    package.mkdir(parents=True)
    (package / "package.json").write_text("{}")
    (tmp_path / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "down")

    assert solidity.find_solc() == package.resolve()


def test_compile__solc_too_old__is_refused(monkeypatch):
    monkeypatch.setattr(solidity, "_call_solc", lambda _: {"version": "0.8.19+commit.7dd6d404", "output": {}})

    with pytest.raises(NoCompiler, match=r"solc 0\.8\.19 is too old"):
        solidity.compile_verifier("")
