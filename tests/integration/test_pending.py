"""Pending transactions of a chain in a folder: there again after a restart and a kill, and no others."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from web3 import HTTPProvider, Web3

from foretell_evm.chain import ForetellChain
from foretell_evm.config import ChainConfig, Mining
from foretell_evm.storage.store import Store
from tests.kit.fork import GENESIS_TIME, INPUTS, Fork, address_of
from tests.kit.nodes import NodeProcess

CONFIG = ChainConfig(genesis_time=GENESIS_TIME, mining=Mining.MANUAL)
RECIPIENT = address_of(0x1234)
GWEI = 10**9


def send(chain: ForetellChain, account: int = 0, **fields: Any) -> str:
    """A transfer of 1 wei; its hash."""
    message = {"from": chain.accounts[account].address, "to": RECIPIENT, "value": "0x1", **fields}
    return str(chain.rpc("eth_sendTransaction", [message]))


def opened(folder: Path) -> ForetellChain:
    """The folder's chain, with what was pending."""
    chain = ForetellChain.create(CONFIG, folder=folder)
    chain.readmit()
    return chain


def waiting(chain: ForetellChain) -> list[str]:
    """Hashes of the mempool's transactions."""
    with chain.lock:
        return [f"0x{entry.transaction.hash.hex()}" for entry in chain.mempool]


def kept(folder: Path) -> list[str]:
    """Hashes of what the folder of a closed chain keeps."""
    with Store(folder) as store:
        return [f"0x{transaction.hash.hex()}" for transaction in store.pending()]


def test_pending__restart__is_there_in_its_order_and_comes_into_a_block(tmp_path: Path) -> None:
    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        sent = [send(chain), send(chain, 1), send(chain)]
    with opened(tmp_path) as chain:
        assert waiting(chain) == sent
        assert len(chain.mine().block.transactions) == 3
        assert all(chain.rpc("eth_getTransactionReceipt", [each])["status"] == "0x1" for each in sent)
    assert kept(tmp_path) == []


def test_pending__nobody_took_it_back__still_kept(tmp_path: Path) -> None:
    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        first = send(chain)
    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        second = send(chain, 1)
        assert waiting(chain) == [second]
    assert kept(tmp_path) == [first, second]


def test_pending__impersonated__restart__is_its_senders(tmp_path: Path) -> None:
    stranger = address_of(0xABCDEF)
    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        chain.rpc("anvil_setBalance", [stranger, hex(10**18)])
        chain.rpc("anvil_impersonateAccount", [stranger])
        sent = chain.rpc("eth_sendTransaction", [{"from": stranger, "to": RECIPIENT, "value": "0x1"}])
    with opened(tmp_path) as chain:
        assert chain.rpc("eth_getTransactionByHash", [sent])["from"] == stranger
        chain.mine()
        assert chain.rpc("eth_getTransactionReceipt", [sent])["from"] == stranger


def test_pending__waits_for_an_inference__restart__is_answered(tmp_path: Path) -> None:
    gate = threading.Event()
    fork = Fork(replace(CONFIG, mining=Mining.AUTO), tmp_path)
    operator = fork.add_operator(gate=gate)
    sent = fork.send_ask(INPUTS)
    assert fork.why(sent)["status"] == "waiting"
    fork.close()
    gate.set()

    with ForetellChain.create(replace(CONFIG, mining=Mining.AUTO), [operator], tmp_path) as chain:
        chain.readmit()
        assert chain.wait_for(bytes.fromhex(sent[2:]), 20) is not None
        assert chain.rpc("eth_getTransactionReceipt", [sent])["status"] == "0x1"


@contextmanager
def unwritable(chain: ForetellChain) -> Iterator[None]:
    """While no pending transaction can be written."""
    connection = chain._core.store._connection
    connection.execute(
        "CREATE TRIGGER full BEFORE INSERT ON pending BEGIN SELECT RAISE(FAIL, 'disk full'); END"
    )
    yield
    connection.execute("DROP TRIGGER full")


def _dropped(chain: ForetellChain) -> None:
    assert chain.rpc("anvil_dropTransaction", [send(chain)])


def _replaced(chain: ForetellChain) -> None:
    send(chain, nonce="0x0", maxFeePerGas=hex(4 * GWEI), maxPriorityFeePerGas=hex(GWEI))
    fees = {"maxFeePerGas": hex(8 * GWEI), "maxPriorityFeePerGas": hex(2 * GWEI)}
    assert chain.rpc("anvil_dropTransaction", [send(chain, nonce="0x0", **fees)])


def _mined(chain: ForetellChain) -> None:
    send(chain)
    assert len(chain.mine().block.transactions) == 1


def _reverted(chain: ForetellChain) -> None:
    snapshot = chain.snapshot()
    send(chain)
    assert chain.revert(snapshot)


def _reset(chain: ForetellChain) -> None:
    send(chain)
    chain.reset()


@pytest.mark.parametrize("end", [_dropped, _replaced, _mined, _reverted, _reset])
def test_pending__ended__is_not_kept(tmp_path: Path, end: Callable[[ForetellChain], None]) -> None:
    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        stays = send(chain, 1) if end not in (_mined, _reset) else None
        end(chain)
    assert kept(tmp_path) == [stays] * (stays is not None)


def test_pending__of_a_snapshot__reverted__is_kept_again(tmp_path: Path) -> None:
    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        sent = send(chain)
        snapshot = chain.snapshot()
        chain.mine()
        assert chain.revert(snapshot)
        assert waiting(chain) == [sent]
    assert kept(tmp_path) == [sent]


def test_pending__in_a_block_already__restart__is_told_and_dropped(tmp_path: Path) -> None:
    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        sent = send(chain)
        (transaction,) = chain.mine().block.transactions
        # A kill between the block and what follows it.
        chain._core.store.change_pending([transaction], [])
    with capture_logs() as logs, opened(tmp_path) as chain:
        assert waiting(chain) == []
    assert [(each["event"], each["hash"]) for each in logs if "pending" in each["event"]] == [
        ("pending_transaction_dropped", sent)
    ]
    assert kept(tmp_path) == []


def test_pending__cannot_be_written__is_told_and_the_chain_goes_on(tmp_path: Path) -> None:
    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        with unwritable(chain), capture_logs() as logs:
            sent = send(chain)
        assert {"event": "pending_transactions_not_kept"}.items() <= logs[0].items()
        later = send(chain, 1)
    assert kept(tmp_path) == [sent, later]


def test_pending__mined_at_once__is_never_written(tmp_path: Path) -> None:
    with (
        ForetellChain.create(replace(CONFIG, mining=Mining.AUTO), folder=tmp_path) as chain,
        unwritable(chain),
        capture_logs() as logs,
    ):
        send(chain)
        assert chain.head.number == 1
    assert logs == []


def test_pending__chain_without_a_folder__writes_nothing() -> None:
    with ForetellChain.create(CONFIG) as chain:
        send(chain)
        assert chain._core.store.pending() == []


@pytest.mark.slow
def test_node__killed__has_every_pending_transaction_that_it_told(tmp_path: Path) -> None:
    arguments = "--operators", "0", "--no-mining", "--data-dir", str(tmp_path)
    with NodeProcess(*arguments) as node:
        w3 = Web3(HTTPProvider(node.url))
        told = [
            w3.eth.send_transaction({"from": account, "to": RECIPIENT, "value": 1, "gas": 21_000})
            for account in w3.eth.accounts[:3]
            for _ in range(2)
        ]
        node.process.kill()
    with NodeProcess(*arguments) as node:
        w3 = Web3(HTTPProvider(node.url))
        assert all(w3.eth.get_transaction(each)["blockNumber"] is None for each in told)
        w3.provider.make_request("evm_mine", [])
        assert [w3.eth.get_transaction_receipt(each)["status"] for each in told] == [1] * len(told)
