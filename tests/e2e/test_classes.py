"""Each class from an ONNX file to a contract's answer, a full node, and a judgement of those who lie."""

import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from eth_abi import encode

from foretell_cli.app import main
from foretell_cli.devnet import Devnet, RegisteredModel, development_chain
from foretell_contracts import load
from foretell_evm.config import ChainConfig, PoolLimits
from foretell_evm.full_node import FullNode
from foretell_relayer.models.folder import ModelFolder
from foretell_relayer.operator import LocalOperator
from foretell_spec.addresses import SETTLEMENT, ZERO_ADDRESS
from foretell_spec.divergence import DeterminismClass
from foretell_spec.sidecar import Sidecar
from foretell_spec.tensor import Tensor, dequantise
from tests.kit import models
from tests.kit.nodes import serve_chain

INTEGER, FLOAT, SEEDED, OPEN = (DeterminismClass(n) for n in range(1, 5))
CLASSES = [INTEGER, FLOAT, SEEDED, OPEN]
GENESIS_TIME = 1_700_000_000


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[DeterminismClass], ModelFolder]:
    return cache(lambda each: models.of_class(each, tmp_path_factory.mktemp(each.name) / "model"))


@pytest.fixture(scope="module")
def devnet(folder_of: Any) -> Iterator[Devnet]:
    folders = [folder_of(each).path for each in CLASSES]
    config = ChainConfig(genesis_time=GENESIS_TIME)
    with development_chain(folders, operators=1, config=config) as made:
        yield made


def model_of(devnet: Devnet, determinism: DeterminismClass) -> RegisteredModel:
    (model,) = [each for each in devnet.models.values() if each.manifest.determinism is determinism]
    return model


def deploy_ask(devnet: Devnet) -> Any:
    artifact = load("Ask")
    sender = devnet.w3.eth.accounts[0]
    data = artifact.bytecode + encode(["address"], [SETTLEMENT])
    sent = devnet.w3.eth.send_transaction({"from": sender, "data": data})
    address = devnet.w3.eth.wait_for_transaction_receipt(sent)["contractAddress"]
    return devnet.w3.eth.contract(address, abi=artifact.abi)


def ask(devnet: Devnet, contract: Any, model: RegisteredModel, inputs: list[int]) -> Any:
    functions = contract.functions
    name = functions.ask_open if model.manifest.determinism is OPEN else functions.ask
    call = name(model.model_id, inputs, 1)
    sent = call.transact({"from": devnet.w3.eth.accounts[0], "gas": 2_000_000})
    return devnet.w3.eth.wait_for_transaction_receipt(sent, timeout=60)


@pytest.mark.parametrize("determinism", CLASSES)
def test_ask__each_class__contract_gets_the_models_output(
    devnet: Devnet, determinism: DeterminismClass
) -> None:
    model, contract = model_of(devnet, determinism), deploy_ask(devnet)
    inputs = model.samples()[1]

    receipt = ask(devnet, contract, model, inputs)

    assert receipt["status"] == 1
    ((answer,),) = [devnet.chain.head.sidecar.answers]
    expected = devnet.infer(model, model.manifest.quantise(tuple(inputs)), answer.lead.seed)
    assert answer.outputs == expected
    stored = contract.functions.answer_of(contract.functions.last_id().call()).call()
    assert tuple(stored[3]) == dequantise(expected, model.manifest.output_scale)
    assert model.verifier == ZERO_ADDRESS
    assert any(answer.lead.seed) is (determinism is SEEDED)


def test_full_node__blocks_of_all_classes__imports_them(devnet: Devnet) -> None:
    node = FullNode(devnet.chain.config)
    for number in range(1, devnet.w3.eth.block_number + 1):
        told = devnet.chain.rpc("foretell_sidecar", [hex(number)])
        block, block_hash = (bytes.fromhex(told[key][2:]) for key in ("block", "blockHash"))
        node.import_block(block, Sidecar.from_json(told), block_hash)
    assert node.head.block.hash == bytes(devnet.w3.eth.get_block("latest")["hash"])


class Liar(LocalOperator):
    """Gives something near what the model gives."""

    def infer(self, folder: ModelFolder, inputs: Tensor, seed: bytes = bytes(32)) -> Tensor:
        first, *rest = super().infer(folder, inputs, seed)
        if folder.manifest.determinism is SEEDED:
            return ((first + 1) % 3, *rest)
        return (first + 1000, *rest)


@pytest.mark.parametrize("determinism", [INTEGER, FLOAT, SEEDED])
def test_judge__one_operator_lies__is_named(folder_of: Any, determinism: DeterminismClass) -> None:
    """Both operators are asked, because the first one drawn does not answer at once."""
    config = ChainConfig(genesis_time=GENESIS_TIME, limits=PoolLimits(patience=0.01))
    folder: Path = folder_of(determinism).path
    with development_chain([folder], operators=1, config=config) as devnet:
        liar = devnet.add_operator(make=lambda identity, store, proofs: Liar(identity, store, proofs=proofs))
        (model,) = devnet.models.values()
        contract = deploy_ask(devnet)
        call = contract.functions.ask(model.model_id, model.samples()[0], 1)
        for operator in (devnet.operators[0].service, liar.service):
            operator.prepare()  # type: ignore[attr-defined]
        call.transact({"from": devnet.w3.eth.accounts[0], "gas": 2_000_000})
        until(lambda: bool(devnet.chain.pool.dissents()))

        told = CliRunner().invoke(main, ["judge", "--rpc", serve_chain(devnet.chain), "--model", str(folder)])

    assert told.exit_code == 0, told.output
    rows = [line for line in told.output.splitlines() if line.startswith("  0x")]
    assert {row.split()[0]: "deviated" in row for row in rows} == {
        devnet.operators[0].address: False, liar.address: True,
    }  # fmt: skip
    assert "1 judged" in told.output


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    due = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < due, "it did not happen in time"
        time.sleep(0.02)
