"""Dumped, loaded and reset states: here, and between this node and anvil."""

import gzip
import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json, to_json
from web3 import HTTPProvider, Web3

from foretell_cli.app import main
from foretell_evm import dump
from foretell_evm.chain import ForetellChain
from foretell_evm.config import ETHER, ChainConfig
from foretell_evm.errors import DumpError, RpcError
from foretell_spec.tensor import WAD
from tests.kit.anvil import Anvil
from tests.kit.fork import GENESIS_TIME, Fork, address_of
from tests.kit.nodes import NodeProcess

CONFIG = ChainConfig(genesis_time=GENESIS_TIME)
STORING = "0x600160025560033d5560006000f3"  # stores 1 in slot 2 and 3 in slot 0, and returns no code
"""Creation code."""


@pytest.fixture
def chain() -> Iterator[ForetellChain]:
    with ForetellChain.create(CONFIG) as made:
        yield made


def accounts_of(dumped: str) -> dict[str, Any]:
    found: dict[str, Any] = from_json(gzip.decompress(bytes.fromhex(dumped[2:])))["accounts"]
    return found


def test_dump__then_load_elsewhere__every_account_is_there() -> None:
    fork = Fork()
    fork.add_operator()
    fork.settle(fork.send_ask((WAD, WAD), 4))
    dumped = fork.chain.rpc("anvil_dumpState")
    with ForetellChain.create(ChainConfig(chain_id=31337, accounts=0)) as other:
        assert other.rpc("anvil_loadState", [dumped]) is True
        assert accounts_of(other.rpc("anvil_dumpState")) == accounts_of(dumped)
        # Nobody has to be asked: the receipt of the answer came along.
        assert other.state().get_code(bytes.fromhex(fork.ask.address[2:])) == fork.w3.eth.get_code(
            fork.ask.address
        )
        assert other.mine().header.timestamp > fork.chain.head.header.timestamp
    fork.close()


def test_dump__of_edited_and_created_storage__holds_each_slot(chain: ForetellChain) -> None:
    chain.rpc("anvil_setStorageAt", [address_of(0x107), "0xff", "0x" + "00" * 31 + "2a"])
    chain.rpc("anvil_setCode", [address_of(0x107), "0x6001"])
    sender = chain.accounts[0].address
    sent = chain.rpc("eth_sendTransaction", [{"from": sender, "input": STORING}])
    created = chain.rpc("eth_getTransactionReceipt", [sent])["contractAddress"]
    accounts = accounts_of(chain.rpc("anvil_dumpState"))
    assert accounts[address_of(0x107)]["storage"] == {f"0x{255:064x}": f"0x{42:064x}"}
    assert accounts[address_of(0x107)]["code"] == "0x6001"
    assert accounts[created.lower()]["storage"] == {
        f"0x{2:064x}": f"0x{1:064x}",
        f"0x{0:064x}": f"0x{3:064x}",
    }
    assert int(accounts[sender.lower()]["balance"], 16) < 10_000 * ETHER
    assert accounts[sender.lower()]["nonce"] == 1


def test_dump__twice__is_the_same_bytes(chain: ForetellChain) -> None:
    assert chain.rpc("anvil_dumpState") == chain.rpc("anvil_dumpState")


@pytest.mark.anvil
def test_dump__of_either_node__loads_in_the_other(chain: ForetellChain) -> None:
    anvil = Anvil()
    anvil.start()
    with ExitStack() as stack:
        stack.callback(anvil.stop)
        provider = HTTPProvider(anvil.url)

        def ask(method: str, *params: Any) -> Any:
            answer: Any = provider.make_request(method, list(params))
            assert "result" in answer, answer
            return answer["result"]

        sender = chain.accounts[0].address
        code, slot = "0x602a60005260206000f3", "0x" + "00" * 31 + "2a"
        chain.rpc("anvil_setCode", [address_of(0x107), code])
        chain.rpc("anvil_setStorageAt", [address_of(0x107), "0x1", slot])
        chain.rpc("eth_sendTransaction", [{"from": sender, "to": address_of(0x105), "value": "0x9"}])
        assert ask("anvil_loadState", chain.rpc("anvil_dumpState")) is True
        assert ask("eth_call", {"to": address_of(0x107)}, "latest") == f"0x{42:064x}"
        assert ask("eth_getStorageAt", address_of(0x107), "0x1", "latest") == slot
        assert ask("eth_getBalance", address_of(0x105), "latest") == "0x9"
        assert ask("eth_getTransactionCount", sender, "latest") == "0x1"

        ask("anvil_setCode", address_of(0x108), code)
        ask("anvil_setStorageAt", address_of(0x108), "0x3", slot)
        ask("anvil_setNonce", address_of(0x109), "0x11")
        ask("anvil_mine", "0x3")
        chain.rpc("anvil_loadState", [ask("anvil_dumpState")])
        assert chain.rpc("eth_call", [{"to": address_of(0x108)}]) == f"0x{42:064x}"
        assert chain.rpc("eth_getStorageAt", [address_of(0x108), "0x3"]) == slot
        assert chain.rpc("eth_getTransactionCount", [address_of(0x109)]) == "0x11"


BAD = {
    "text": b"hello",
    "list": b"[]",
    "no accounts": b"{}",
    "bad address": to_json({"accounts": {"0x12": {}}}),
    "negative": to_json({"accounts": {address_of(0x105): {"balance": "-0x1"}}}),
    "too rich": to_json({"accounts": {address_of(0x105): {"balance": hex(2**256)}}}),
    "true": to_json({"accounts": {address_of(0x105): {"nonce": True}}}),
    "no hex": to_json({"accounts": {address_of(0x105): {"code": "0xzz"}}}),
    "no prefix": to_json({"accounts": {address_of(0x105): {"code": "6001"}}}),
    "cut": gzip.compress(to_json({"accounts": {}}))[:-9],
    "not deflated": b"\x1f\x8b" + b"\0" * 30,
}


@pytest.mark.parametrize("packed", BAD.values(), ids=BAD)
def test_load__what_is_no_dump__is_refused_and_changes_nothing(chain: ForetellChain, packed: bytes) -> None:
    before = chain.head.state_root
    with pytest.raises(RpcError, match="not a dumped state"):
        chain.rpc("anvil_loadState", ["0x" + packed.hex()])
    assert chain.head.state_root == before


def test_load__that_unpacks_without_end__is_refused(
    chain: ForetellChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "MAX_BYTES", 10_000)
    bomb = gzip.compress(b" " * 1_000_000)
    assert len(bomb) < 10_000
    with pytest.raises(RpcError, match="unpacks to over"):
        chain.rpc("anvil_loadState", ["0x" + bomb.hex()])


@given(st.binary(max_size=300) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(to_json))
@settings(max_examples=200)
def test_read__anything__is_a_dump_or_an_error_of_ours(packed: bytes) -> None:
    with suppress(DumpError):
        dump.Dump.read(packed)


def test_reset__goes_back_to_the_start(chain: ForetellChain) -> None:
    chain.mine(2)
    chain.rpc("anvil_setBalance", [address_of(0x105), "0x7"])
    chain.mark_start()
    snapshot = chain.snapshot()
    chain.increase_time(10_000)
    chain.rpc("anvil_setBalance", [address_of(0x105), "0x9"])
    chain.mine(3)
    chain.set_automine(enabled=False)
    sent = chain.rpc("eth_sendTransaction", [{"from": chain.accounts[0].address, "to": address_of(0x105)}])

    assert chain.rpc("anvil_reset") is True

    assert chain.head.number == 2
    assert chain.rpc("eth_getBalance", [address_of(0x105)]) == "0x7"
    assert chain.rpc("eth_getTransactionByHash", [sent]) is None
    assert not chain.revert(snapshot)
    assert chain.mine().header.timestamp < chain.head.header.timestamp + 5_000


def test_reset__without_a_start__is_block_0(chain: ForetellChain) -> None:
    chain.rpc("anvil_setBalance", [address_of(0x105), "0x7"])
    chain.mine(3)
    chain.rpc("hardhat_reset", [])
    assert chain.head.number == 0
    assert chain.rpc("eth_getBalance", [address_of(0x105)]) == "0x0"


def test_reset__with_a_fork__is_refused(chain: ForetellChain) -> None:
    chain.mine()
    with pytest.raises(RpcError, match="forks no other chain"):
        chain.rpc("anvil_reset", [{"forking": {"jsonRpcUrl": "http://127.0.0.1:1"}}])
    assert chain.head.number == 1


def test_reset__of_a_kept_chain__is_to_its_first_start(tmp_path: Path) -> None:
    for head in (0, 2):
        with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
            assert chain.head.number == head
            chain.mark_start()
            chain.mine(2)
    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        chain.reset()
        assert chain.head.number == 0
    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        assert chain.head.number == 0


@pytest.mark.slow
def test_command__dumps_at_the_end_and_loads_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "state"
    with NodeProcess("--operators", "0", "--dump-state", str(file)) as node:
        w3 = Web3(HTTPProvider(node.url))
        w3.eth.send_transaction({"from": w3.eth.accounts[0], "to": address_of(0x105), "value": 9})
        node.process.send_signal(signal.SIGINT)
        told, _ = node.process.communicate(timeout=20)
    assert f"is in {file}" in told
    with NodeProcess("--operators", "0", "--load-state", str(file)) as node:
        assert Web3(HTTPProvider(node.url)).eth.get_balance(address_of(0x105)) == 9
    file.write_text("other")
    failed = CliRunner().invoke(main, ["node", "--port", "0", "--operators", "0", "--load-state", str(file)])
    assert failed.exit_code == 1
    assert "not a dumped state" in failed.output
