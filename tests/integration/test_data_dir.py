"""A chain in a folder: kept across restarts and kills, and by one node at a time."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from web3 import HTTPProvider, Web3

from foretell_cli.app import main
from foretell_cli.devnet import Devnet, RegisteredModel, endowed
from foretell_evm.chain import ForetellChain
from foretell_evm.config import ETHER, ChainConfig, Mining
from foretell_evm.errors import ConfigError, StoreError
from foretell_evm.full_node import FullNode
from foretell_evm.storage.store import FILE_NAME, Store
from foretell_spec.abi import InferCall, encode_infer
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.assurance import Assurance
from foretell_spec.sidecar import Sidecar
from foretell_spec.tensor import WAD
from tests.kit.fork import GENESIS_TIME, Fork, address_of
from tests.kit.nodes import NodeProcess

CONFIG = ChainConfig(genesis_time=GENESIS_TIME)


def reads(chain: ForetellChain) -> dict[str, Any]:
    """All that a client can read of every block, and of the state after it."""
    told: dict[str, Any] = {}
    for number in range(chain.head.number + 1):
        block = hex(number)
        told[block] = [
            chain.rpc("eth_getBlockByNumber", [block, True]),
            chain.rpc("eth_getBlockReceipts", [block]),
            chain.rpc("foretell_sidecar", [block]),
            [chain.rpc("eth_getBalance", [account.address, block]) for account in chain.accounts],
        ]
    told["logs"] = chain.rpc("eth_getLogs", [{"fromBlock": "0x0"}])
    return told


def test_chain__opened_again__is_what_it_was_and_goes_on(tmp_path: Path) -> None:
    fork = Fork(CONFIG, tmp_path)
    operator = fork.add_operator()
    sent = fork.send_ask((WAD, WAD), 4)
    fork.settle(sent)
    before = reads(fork.chain)
    receipt = fork.chain.rpc("eth_getTransactionReceipt", [sent])
    fork.close()

    with ForetellChain.create(CONFIG, [operator], tmp_path) as chain:
        assert reads(chain) == before
        assert chain.rpc("eth_getTransactionReceipt", [sent]) == receipt
        assert before["logs"]
        again = {"from": fork.user, "to": fork.ask.address, "data": ask_data(fork), "gas": hex(3_000_000)}
        chain.wait_for(bytes.fromhex(chain.rpc("eth_sendTransaction", [again])[2:]), 20)
        assert chain.head.number == int(receipt["blockNumber"], 16) + 1
        whole = [chain.rpc("foretell_sidecar", [hex(number)]) for number in range(1, chain.head.number + 1)]

    node = FullNode(replace(CONFIG, accounts=10))
    for each in whole:
        node.import_block(bytes.fromhex(each["block"][2:]), Sidecar.from_json(each))
    assert node.head.number == len(whole)
    node.close()


def ask_data(fork: Fork) -> str:
    return str(fork.ask.encode_abi("ask", args=[fork.model_id, [WAD, 5 * WAD], 1]))


def test_chain__with_edited_state_and_impersonation__is_what_it_was(tmp_path: Path) -> None:
    stranger = address_of(0xABCDEF)
    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        chain.rpc("anvil_setBalance", [stranger, hex(7 * ETHER)])
        chain.rpc("anvil_impersonateAccount", [stranger])
        sent = chain.rpc(
            "eth_sendTransaction", [{"from": stranger, "to": address_of(0x1234), "value": "0x1"}]
        )
        chain.rpc("anvil_setBalance", [address_of(0x99), "0x5"])
        before = reads(chain), chain.rpc("eth_getTransactionByHash", [sent])

    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        assert (reads(chain), chain.rpc("eth_getTransactionByHash", [sent])) == before
        assert chain.rpc("eth_getTransactionByHash", [sent])["from"] == stranger
        assert chain.rpc("eth_getBalance", [address_of(0x99), "latest"]) == "0x5"


def test_revert__then_opened_again__dropped_blocks_are_gone(tmp_path: Path) -> None:
    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        chain.mine(2)
        snapshot = chain.snapshot()
        sent = chain.rpc(
            "eth_sendTransaction", [{"from": chain.accounts[0].address, "to": address_of(5), "value": "0x1"}]
        )
        assert chain.revert(snapshot)
        assert chain.rpc("eth_getTransactionReceipt", [sent]) is None
        chain.mine()
        head = chain.head.block.hash

    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        assert (chain.head.number, chain.head.block.hash) == (3, head)
        assert chain.rpc("eth_getTransactionByHash", [sent]) is None
        assert chain.rpc("eth_getBalance", [address_of(5), "latest"]) == "0x0"


def test_time__ahead_at_the_end__is_ahead_at_the_next_start(tmp_path: Path) -> None:
    config = ChainConfig()
    with ForetellChain.create(config, folder=tmp_path) as chain:
        chain.increase_time(10_000)
        ahead = chain.mine().header.timestamp
    with ForetellChain.create(config, folder=tmp_path) as chain:
        assert ahead < chain.mine().header.timestamp < ahead + 1_000


def test_pending_block__looked_at__leaves_nothing_in_the_file(tmp_path: Path) -> None:
    def nodes() -> int:
        with closing(sqlite3.connect(tmp_path / "copy.sqlite")) as copy:
            return int(copy.execute("SELECT count(*) FROM nodes").fetchone()[0])

    with ForetellChain.create(replace(CONFIG, mining=Mining.MANUAL), folder=tmp_path / "chain") as chain:
        transfer = {"from": chain.accounts[0].address, "to": address_of(5), "value": "0x1"}
        chain.rpc("eth_sendTransaction", [transfer])
        assert chain.rpc("eth_getBalance", [address_of(5), "pending"]) == "0x1"
    (tmp_path / "copy.sqlite").write_bytes((tmp_path / "chain" / FILE_NAME).read_bytes())
    with_pending = nodes()

    with ForetellChain.create(CONFIG, folder=tmp_path / "other"):
        pass
    (tmp_path / "copy.sqlite").write_bytes((tmp_path / "other" / FILE_NAME).read_bytes())
    assert nodes() == with_pending


def test_folder__in_use__is_refused(tmp_path: Path) -> None:
    with ForetellChain.create(CONFIG, folder=tmp_path):
        with pytest.raises(StoreError, match="in use") as caught:
            ForetellChain.create(CONFIG, folder=tmp_path)
        assert "stop that one" in caught.value.hint
    ForetellChain.create(CONFIG, folder=tmp_path).close()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"chain_id": 5}, "chain id: 31337"),
        ({"genesis_time": GENESIS_TIME + 1}, "genesis time"),
        ({"accounts": 3}, "funded"),
        ({"gas_limit": 20_000_000}, "gas limit"),
    ],
)
def test_folder__of_another_chain__is_refused(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    ForetellChain.create(CONFIG, folder=tmp_path).close()
    with pytest.raises(ConfigError, match=named) as caught:
        ForetellChain.create(replace(CONFIG, **change), folder=tmp_path)
    assert "another folder" in caught.value.hint
    ForetellChain.create(CONFIG, folder=tmp_path).close()


def test_folder__genesis_time_left_open__is_the_chains_own(tmp_path: Path) -> None:
    ForetellChain.create(CONFIG, folder=tmp_path).close()
    with ForetellChain.create(ChainConfig(), folder=tmp_path) as chain:
        assert chain.config.genesis_time == GENESIS_TIME


def spoil(statement: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(statement)

    return change


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda file: file.write_bytes(b"not a database at all, but long enough" * 99), "damaged"),
        (spoil("PRAGMA user_version = 7"), "format 7"),
        (spoil("PRAGMA user_version = 0"), "format 0"),
    ],
    ids=["text", "newer", "foreign"],
)
def test_file__none_of_ours__is_refused_and_left_alone(
    tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    ForetellChain.create(CONFIG, folder=tmp_path).close()
    file = tmp_path / FILE_NAME
    damage(file)
    before = file.read_bytes()
    with pytest.raises(StoreError, match=said):
        Store(tmp_path)
    assert file.read_bytes() == before


def test_store__closed__is_not_opened_again(tmp_path: Path) -> None:
    chain = ForetellChain.create(CONFIG, folder=tmp_path)
    chain.close()
    with pytest.raises(StoreError, match="closed"):
        chain.mine()
    ForetellChain.create(CONFIG, folder=tmp_path).close()


def test_folder__that_is_a_file__is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    told = CliRunner().invoke(main, ["node", "--port", "0", "--data-dir", str(tmp_path / "file" / "chain")])
    assert told.exit_code == 1
    assert "cannot be made" in told.output
    assert "E-STO-001" in told.output


@contextmanager
def unwritable(chain: ForetellChain) -> Iterator[None]:
    """While no block can be written."""
    connection = chain._core.store._connection
    connection.execute(
        "CREATE TRIGGER full BEFORE INSERT ON blocks BEGIN SELECT RAISE(FAIL, 'disk full'); END"
    )
    yield
    connection.execute("DROP TRIGGER full")


def test_database__that_cannot_be_written__keeps_the_chain_as_it_was(tmp_path: Path) -> None:
    with ForetellChain.create(CONFIG, folder=tmp_path) as chain:
        with unwritable(chain), pytest.raises(StoreError, match="disk full"):
            chain.mine()
        assert chain.head.number == 0
        assert chain.mine().number == 1


def test_database__that_cannot_be_written__does_not_end_the_slots() -> None:
    with ForetellChain.create(replace(CONFIG, mining=Mining.INTERVAL, block_time=0.05)) as chain:
        with chain.lock:
            head = chain.head.number
            stack = unwritable(chain)
            stack.__enter__()
        time.sleep(0.3)
        assert chain.head.number == head
        with chain.lock:
            stack.__exit__(None, None, None)
        chain.wait_for_change(chain._core.changes, 20)
        assert chain.head.number > head


@pytest.mark.slow
def test_node__killed_while_it_mines__has_every_block_that_it_told(tmp_path: Path) -> None:
    for _ in range(2):
        told = []
        with NodeProcess("--operators", "0", "--data-dir", str(tmp_path)) as node, suppress(OSError):
            w3 = Web3(HTTPProvider(node.url))
            account = w3.eth.accounts[0]
            threading.Timer(1.0, node.process.kill).start()
            while True:
                sent = w3.eth.send_transaction({"from": account, "to": address_of(5), "value": 1})
                told.append(w3.eth.get_transaction_receipt(sent))
        with ForetellChain.create(ChainConfig(), folder=tmp_path) as chain:
            for receipt in told:
                kept = chain.rpc("eth_getTransactionReceipt", ["0x" + receipt["transactionHash"].hex()])
                assert kept["blockHash"] == "0x" + receipt["blockHash"].hex()
            assert told


@pytest.mark.slow
def test_node__models_registered_before__are_there_again(tmp_path: Path) -> None:
    volatility = Path(__file__).resolve().parents[2] / "models" / "volatility"
    heads = []
    for _ in range(2):
        devnet = Devnet(ForetellChain.create(endowed(CONFIG), folder=tmp_path))
        devnet.add_operator()
        model = devnet.register_model(volatility)
        heads.append(devnet.chain.head.number)
        data = infer_data(model)
        assert devnet.chain.rpc("eth_call", [{"to": PRECOMPILE, "data": data}])
        devnet.close()
    assert heads[0] == heads[1]


def infer_data(model: RegisteredModel) -> str:
    call = InferCall(model.model_id, tuple(model.samples()[0]), Assurance.SIGNED)
    return "0x" + encode_infer(call).hex()
