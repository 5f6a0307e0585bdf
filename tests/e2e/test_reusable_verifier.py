"""A circuit whose own verifier is too large for a chain: made, deployed, and proven within a transaction."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from web3 import Web3

from foretell_cli.devnet import Devnet, RegisteredModel, development_chain
from foretell_relayer import deploy
from foretell_relayer.models import add as adding
from foretell_relayer.models.errors import NoCircuit
from foretell_relayer.models.folder import CircuitFolder, load_circuit
from foretell_relayer.prove import reusable, solidity
from foretell_spec.abi import InferCall, encode_infer
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.assurance import Assurance
from tests.kit import models
from tests.kit.anvil import DEPLOYER, Anvil

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> CircuitFolder:
    """A small model under a limit that its own verifier exceeds, and EZKL's reusable one does not."""
    place = tmp_path_factory.mktemp("add")
    onnx, data = models.tiny(place / "net.onnx"), models.samples(place / "s.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solidity, "EIP170_LIMIT", 12_000)
        options = adding.Options("net", 0.05)
        adding.add(onnx, data, place / "out", options, lambda _: None)
    return load_circuit(place / "out")


@pytest.fixture(scope="module")
def devnet(folder: CircuitFolder) -> Iterator[Devnet]:
    with development_chain([folder.path]) as running:
        yield running


@pytest.fixture(scope="module")
def model(devnet: Devnet) -> RegisteredModel:
    (registered,) = devnet.models.values()
    return registered


def test_add__own_verifier_too_large__takes_the_reusable_one(folder: CircuitFolder) -> None:
    assert folder.verifier.contract == reusable.CONTRACT
    assert folder.verifier.vka
    assert folder.manifest.verifier_code_hash == folder.verifier.compiled().code_hash


def test_add__neither_fits__says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx, data = models.tiny(tmp_path / "net.onnx"), models.samples(tmp_path / "s.npz")
    monkeypatch.setattr(reusable, "MAX_KEY_WORDS", 10)
    with pytest.raises(NoCircuit, match=r"more than the 10 words .* fewer or simpler layers"):
        adding.add(onnx, data, tmp_path / "out", adding.Options("net", 0.05, reusable=True), lambda _: None)
    assert not (tmp_path / "out").exists()


def test_infer__proven__is_verified_by_the_reusable_verifier(devnet: Devnet, model: RegisteredModel) -> None:
    call = InferCall(model.model_id, tuple(model.samples()[0]), Assurance.PROVEN)
    account = devnet.chain.accounts[0]
    message = {"from": account.address, "to": PRECOMPILE, "data": "0x" + encode_infer(call).hex()}
    sent = devnet.w3.eth.send_transaction({**message, "gas": 3_000_000})  # type: ignore[typeddict-item]
    assert devnet.w3.eth.wait_for_transaction_receipt(sent)["status"] == 1


def test_prove__wrong_output__is_refused(devnet: Devnet, model: RegisteredModel) -> None:
    inputs = model.manifest.quantise(tuple(model.samples()[0]))
    outputs, proof = devnet.prove(model, inputs)
    verify = devnet.circuit_verifier.functions.verify
    assert verify(model.model_id, inputs, outputs, proof).call()
    with pytest.raises(Exception, match="verifier: proof rejected"):
        verify(model.model_id, inputs, (outputs[0] + 1, *outputs[1:]), proof).call()


def test_register_model__on_another_chain__deploys_what_the_manifest_pins(folder: CircuitFolder) -> None:
    anvil = Anvil()
    anvil.start()
    try:
        book = deploy.deploy_protocol(anvil.w3, DEPLOYER)
        verifier = deploy.register_model(anvil.w3, DEPLOYER, book, folder)
        assert Web3.keccak(anvil.w3.eth.get_code(verifier)) == folder.manifest.verifier_code_hash
    finally:
        anvil.stop()
