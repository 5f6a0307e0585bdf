"""The devnet: fork, operators and models joined, with the shipped model and real proofs."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account
from web3.contract import Contract
from web3.exceptions import ContractLogicError

from foretell_cli.devnet import BOND, ETHER, Devnet, DevnetError, RegisteredModel, dev_key, development_chain
from foretell_evm.config import ChainConfig
from foretell_relayer.models.errors import BadFolder
from foretell_relayer.models.proofs import ProofCache
from foretell_relayer.models.store import ModelStore
from foretell_relayer.operator import Identity, LocalOperator
from foretell_spec.addresses import CIRCUIT_VERIFIER, PRECOMPILE
from foretell_spec.assurance import Assurance
from foretell_spec.request import NO_SEED
from foretell_spec.tensor import Tensor, dequantise

VOLATILITY = Path(__file__).resolve().parents[2] / "models" / "volatility"
INFER_ABI = json.loads(
    """[{"type": "function", "name": "infer", "stateMutability": "nonpayable", "inputs": [
      {"name": "model_id", "type": "bytes32"}, {"name": "inputs", "type": "int256[]"},
      {"name": "min_assurance", "type": "uint8"}],
      "outputs": [{"name": "outputs", "type": "int256[]"}, {"name": "receipt_id", "type": "bytes32"}]}]"""
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def devnet() -> Iterator[Devnet]:
    with development_chain([VOLATILITY], config=ChainConfig(balance=3 * ETHER)) as running:
        yield running


@pytest.fixture(scope="module")
def model(devnet: Devnet) -> RegisteredModel:
    (registered,) = devnet.models.values()
    return registered


@pytest.fixture(scope="module")
def inputs(model: RegisteredModel) -> list[int]:
    return model.samples()[0]


@pytest.fixture(scope="module")
def precompile(devnet: Devnet) -> Contract:
    return devnet.w3.eth.contract(PRECOMPILE, abi=INFER_ABI)


def quantised(model: RegisteredModel, inputs: list[int]) -> Tensor:
    return model.manifest.quantise(tuple(inputs))


def test_start__accounts_of_the_user__are_untouched(devnet: Devnet) -> None:
    for account in devnet.chain.accounts:
        assert devnet.w3.eth.get_balance(account.address) == 3 * ETHER
        assert devnet.w3.eth.get_transaction_count(account.address) == 0


def test_start__operators__are_bonded_and_sign_for_themselves(devnet: Devnet) -> None:
    registry = devnet.operator_registry.functions
    for operator in devnet.operators:
        assert registry.signer_of(operator.address).call() == operator.address
        assert registry.free_bond(operator.address).call() == BOND
    assert len(devnet.operators) == 2


@pytest.mark.parametrize("assurance", [Assurance.SIGNED, Assurance.PROVEN])
def test_infer__through_the_precompile__is_the_models_output(
    devnet: Devnet, model: RegisteredModel, inputs: list[int], precompile: Contract, assurance: Assurance
) -> None:
    outputs, _ = precompile.functions.infer(model.model_id, inputs, int(assurance)).call()
    expected = devnet.infer(model, quantised(model, inputs))
    assert tuple(outputs) == dequantise(expected, model.manifest.output_scale)


def test_prove__of_the_devnet__convinces_the_circuit_verifier(
    devnet: Devnet, model: RegisteredModel, inputs: list[int]
) -> None:
    asked = quantised(model, inputs)
    outputs, proof = devnet.prove(model, asked)
    verify = devnet.circuit_verifier.functions.verify
    assert verify(model.model_id, asked, outputs, proof).call() is True
    with pytest.raises(ContractLogicError):
        verify(model.model_id, asked, (outputs[0] + 1,), proof).call()


def test_register_model__again__is_the_same_and_sends_nothing(devnet: Devnet, model: RegisteredModel) -> None:
    height = devnet.w3.eth.block_number
    assert devnet.register_model(VOLATILITY) == model
    assert devnet.w3.eth.block_number == height


def test_register_model__altered_folder__is_refused(devnet: Devnet, tmp_path: Path) -> None:
    folder = tmp_path / "altered"
    shutil.copytree(VOLATILITY, folder)
    (folder / "settings.json").write_text("{}")
    with pytest.raises(BadFolder):
        devnet.register_model(folder)


def test_publish__model_of_a_publisher__is_refused(devnet: Devnet, model: RegisteredModel) -> None:
    owned = replace(model.folder, manifest=replace(model.manifest, publisher=CIRCUIT_VERIFIER))
    with pytest.raises(DevnetError, match="only its publisher"):
        devnet.publish(owned)


def test_transact__reverting_call__says_the_reason(devnet: Devnet) -> None:
    account = devnet.operators[0].account
    again = devnet.operator_registry.functions.register(account.address, 1)
    with pytest.raises(DevnetError, match="operators: already registered"):
        devnet.transact(account, again, ETHER)


def test_transact__without_funds__is_refused(devnet: Devnet) -> None:
    pauper = Account.from_key(dev_key("pauper").to_bytes())
    with pytest.raises(DevnetError, match="enough balance"):
        devnet.transact(pauper, devnet.operator_registry.functions.add_bond(), ETHER)


def test_fund__stranger__has_it(devnet: Devnet) -> None:
    stranger = Account.from_key(dev_key("stranger").to_bytes()).address
    devnet.fund(stranger, 5)
    assert devnet.w3.eth.get_balance(stranger) == 5


class Liar(LocalOperator):
    """Gives an output that no proof supports."""

    def infer(self, folder: object, inputs: Tensor, seed: bytes = NO_SEED) -> Tensor:
        return tuple(q + 1 for q in super().infer(folder, inputs, seed))  # type: ignore[arg-type]


def make_liar(identity: Identity, store: ModelStore, proofs: ProofCache) -> Liar:
    return Liar(identity, store, proofs=proofs)


def test_add_operator__that_lies__is_believed_for_signed_and_not_for_proven() -> None:
    with development_chain([VOLATILITY], operators=0) as devnet:
        (model,) = devnet.models.values()
        inputs = model.samples()[1]
        devnet.add_operator(make=make_liar)
        infer = devnet.w3.eth.contract(PRECOMPILE, abi=INFER_ABI).functions.infer
        right = dequantise(devnet.infer(model, quantised(model, inputs)), model.manifest.output_scale)

        lie, _ = infer(model.model_id, inputs, int(Assurance.SIGNED)).call()
        assert tuple(lie) != right
        devnet.add_operator()
        truth, _ = infer(model.model_id, inputs, int(Assurance.PROVEN)).call()
        assert tuple(truth) == right


def test_close__twice__does_nothing_more() -> None:
    devnet = Devnet()
    devnet.close()
    devnet.close()
