"""`foretell node`: one command, and a contract of anybody's client can ask the shipped model."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from eth_abi import decode, encode
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractCustomError

from ape_foretell.system import system_contracts
from foretell_evm.opengradient import abi
from foretell_evm.opengradient.addresses import INFERENCE
from foretell_evm.opengradient.config import Layout
from foretell_evm.opengradient.numbers import from_wad
from foretell_relayer.models.folder import load
from foretell_relayer.models.samples import to_wad
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.reasons import Reason, reason_of
from tests.kit.nodes import NodeProcess

VOLATILITY = Path(__file__).resolve().parents[2] / "models" / "volatility"
SIGNED = 1
INTERRUPTED = 130

pytestmark = pytest.mark.slow


@contextmanager
def node(folder: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", Web3]]:
    with NodeProcess(*arguments, cwd=folder) as running:
        yield running.process, Web3(HTTPProvider(running.url))


def infer(w3: Web3, inputs: list[int], model_id: bytes) -> Any:
    abi = [method.model_dump(mode="json") for method in system_contracts()[PRECOMPILE].mutable_methods]
    return w3.eth.contract(PRECOMPILE, abi=abi).functions.infer(model_id, inputs, SIGNED).call()


@pytest.mark.parametrize("mining", [[], ["--no-mining"]], ids=["auto", "manual"])
def test_node__models_in_its_folder__answers_over_http_and_ends_on_ctrl_c(
    tmp_path: Path, mining: list[str]
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "volatility").symlink_to(VOLATILITY)
    folder = load(VOLATILITY)
    inputs = [to_wad(value) for value in folder.samples()[0].tolist()]
    with node(tmp_path, *mining) as (child, w3):
        (output,), _ = infer(w3, inputs, folder.model_id)
        assert output > 0
        assert w3.eth.get_transaction_count(w3.eth.accounts[0]) == 0
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == INTERRUPTED


def test_node__without_operators__refuses_models_and_serves_the_rest(tmp_path: Path) -> None:
    with node(tmp_path, "--operators", "0", "--model", str(VOLATILITY)) as (_, w3):
        assert w3.eth.block_number == 0
        with pytest.raises(ContractCustomError) as refusal:
            infer(w3, [0], b"\1" * 32)
    assert reason_of(bytes.fromhex(str(refusal.value.data)[2:])) is Reason.UNKNOWN_MODEL


def test_node__with_opengradient__answers_for_the_cid_of_its_file(tmp_path: Path) -> None:
    folder = load(VOLATILITY)
    settings = tmp_path / "opengradient.toml"
    settings.write_text(f'[models]\nQmVolatility = "0x{folder.model_id.hex()}"\n')
    values = folder.samples()[0].tolist()
    numbers = [from_wad(to_wad(value)) for value in values]
    request = (0, "QmVolatility", ([("returns", numbers, (len(numbers),))], []))
    data = abi.RUN_MODEL + encode([abi.MODEL_REQUEST], [request])
    with node(tmp_path, "--model", str(VOLATILITY), "--opengradient", str(settings)) as (_, w3):
        (answer,) = decode([abi.OUTPUT[Layout.SOLIDML]], w3.eth.call({"to": INFERENCE, "data": data}))
        ((_, ((value, decimals),), _),) = answer[0]
        (output,), _ = infer(w3, [to_wad(each) for each in values], folder.model_id)
    assert value * 10 ** (18 - decimals) == output
