"""viem, ethers and cast against the node, used as their users use them."""

import json
from pathlib import Path

import pytest

from tests.clients.conftest import Client

pytestmark = pytest.mark.slow
HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize("library", ["viem", "ethers"])
def test_script__of_a_library__gets_what_it_expects(project: Client, setting: str, library: str) -> None:
    assert "done" in project.run("node", str(HERE / f"{library}.mjs"), SETTING=setting)


def test_cast__reads_sends_and_debugs(project: Client) -> None:
    def cast(*arguments: str) -> str:
        return project.run("cast", *arguments, "--rpc-url", project.url).strip()

    sender, to = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
    assert cast("chain-id") == "31337"
    before = int(cast("balance", to))
    receipt = json.loads(cast("send", to, "--value", "1ether", "--unlocked", "--from", sender, "--json"))
    assert int(cast("balance", to)) == before + 10**18
    assert receipt["transactionHash"] in cast("tx", receipt["transactionHash"])
    assert "Transaction successfully executed" in cast("run", receipt["transactionHash"])
    assert int(cast("block", "latest", "-f", "gasLimit")) > 0
    assert int(cast("estimate", to, "--value", "1", "--from", sender)) == 21_000
    assert json.loads(cast("proof", to))["accountProof"]
    assert json.loads(cast("access-list", to, "--from", sender, "--json"))["accessList"] == []
    assert json.loads(cast("rpc", "anvil_metadata"))["chainId"] == 31337
