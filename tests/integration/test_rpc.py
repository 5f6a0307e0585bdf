"""The two JSON-RPC doors and what both answer."""

import json
import socket
import threading
from collections.abc import Iterator

import pytest
import requests
from click.testing import CliRunner
from web3 import Web3

from foretell_evm.cli import node
from foretell_evm.errors import RpcError, ServerError
from foretell_evm.rpc.dispatch import MAX_BATCH
from foretell_evm.rpc.http import bind, serve
from foretell_spec.addresses import PRECOMPILE
from tests.kit.fork import Fork


@pytest.fixture
def fork() -> Iterator[Fork]:
    made = Fork()
    made.add_operator()
    yield made
    made.close()


@pytest.fixture
def url(fork: Fork) -> str:
    listener = bind("127.0.0.1", 0)
    threading.Thread(target=serve, args=(fork.chain, listener), daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def post(url: str, body: bytes):
    return requests.post(url, data=body, timeout=20).json()


def test_http__web3_client__asks_a_model(fork: Fork, url: str) -> None:
    w3 = Web3(Web3.HTTPProvider(url))
    ask = w3.eth.contract(fork.ask.address, abi=fork.ask.abi)
    sent = ask.functions.ask(fork.model_id, [10**18, 10**18], 4).transact({"from": w3.eth.accounts[3]})
    receipt = w3.eth.wait_for_transaction_receipt(sent, poll_latency=0.05)
    assert receipt["status"] == 1
    assert w3.eth.get_logs({"address": PRECOMPILE, "fromBlock": 0})[-1]["transactionHash"] == sent


def test_http__batch__answers_each(url: str) -> None:
    calls = [{"jsonrpc": "2.0", "id": index, "method": "eth_chainId"} for index in range(3)]
    answers = post(url, json.dumps([*calls, {"jsonrpc": "2.0", "method": "eth_chainId"}, 5]).encode())
    assert [answer.get("result") for answer in answers] == ["0x7a69"] * 3 + [None]
    assert answers[-1]["error"]["code"] == -32600


def test_http__batch_without_end__is_refused(url: str) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}
    assert len(post(url, json.dumps([call] * MAX_BATCH).encode())) == MAX_BATCH
    assert post(url, json.dumps([call] * (MAX_BATCH + 1)).encode())["error"]["code"] == -32600


ADDRESS = "0x" + "11" * 20


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getBlockByNumber", [[], False]),
        ("eth_getBlockByNumber", [{"blockNumber": {}}, False]),
        ("eth_getBalance", [ADDRESS, [1]]),
        ("eth_getLogs", [{"fromBlock": []}]),
        ("eth_getLogs", [{"toBlock": {"a": 1}}]),
        ("eth_getStorageAt", [ADDRESS, hex(2**256), "latest"]),
        ("eth_getBlockByNumber", [hex(2**20000), False]),
        ("anvil_setBalance", [ADDRESS, hex(2**256)]),
        ("anvil_setStorageAt", [ADDRESS, hex(2**256), "0x1"]),
        ("anvil_setStorageAt", [ADDRESS, "0x1", "0x" + "11" * 33]),
        ("evm_setIntervalMining", [hex(2**255)]),
        ("evm_setNextBlockTimestamp", [hex(2**256)]),
    ],
)
def test_method__value_out_of_range_or_of_another_kind__is_refused(
    fork: Fork, method: str, params: list[object]
) -> None:
    with pytest.raises(RpcError) as refused:
        fork.chain.rpc(method, params)
    assert refused.value.rpc_code == -32602


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        pytest.param(b"[" * 100_000, -32700, id="too deep"),
        (b"NaN", -32700),
        (b"[]", -32600),
        (b"7", -32600),
        (b'{"id":1,"method":"eth_nothing"}', -32601),
        (b'{"id":1,"method":"eth_getBalance"}', -32602),
        (b'{"id":1,"method":"eth_getBalance","params":["0x12"]}', -32602),
        (b'{"id":1,"method":"eth_getBlockByNumber","params":["soon"]}', -32602),
        (b'{"id":1,"method":"eth_getBalance","params":{"a":1}}', -32602),
        (b'{"id":1,"method":"eth_sendRawTransaction","params":["0x02ff"]}', -32000),
    ],
)
def test_http__bad_request__error_code(url: str, body: bytes, code: int) -> None:
    assert post(url, body)["error"]["code"] == code


def test_call__reverts__code_3_and_data(fork: Fork) -> None:
    with pytest.raises(RpcError) as caught:
        fork.chain.rpc("eth_call", [{"to": PRECOMPILE, "data": "0x"}])
    assert caught.value.rpc_code == 3
    assert caught.value.data.endswith("02")
    assert "UNKNOWN_FUNCTION" in str(caught.value)


def test_bind__port_in_use__clear_error() -> None:
    with bind("127.0.0.1", 0) as listener, pytest.raises(ServerError, match="in use") as caught:
        bind("127.0.0.1", listener.getsockname()[1])
    assert "--port" in caught.value.hint


def test_node_command__port_in_use__says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = CliRunner().invoke(node, ["--port", str(taken.getsockname()[1])])
    assert isinstance(result.exception, ServerError)


def test_snapshot__revert__restores_chain_time_and_mempool(fork: Fork) -> None:
    rpc = fork.chain.rpc
    rpc("evm_setAutomine", [False])
    pending = rpc("eth_sendTransaction", [{"from": fork.user, "to": fork.other, "value": "0x1"}])
    before = rpc("eth_getBlockByNumber", ["latest"])
    snapshot = rpc("evm_snapshot")
    rpc("evm_increaseTime", [10_000])
    rpc("anvil_mine", ["0x3"])
    assert rpc("eth_getTransactionReceipt", [pending]) is not None

    assert rpc("evm_revert", [snapshot]) is True
    assert rpc("eth_getBlockByNumber", ["latest"]) == before
    assert rpc("eth_getTransactionReceipt", [pending]) is None
    assert rpc("foretell_why", [pending])["status"] == "ready"
    assert rpc("evm_revert", [snapshot]) is False
    rpc("evm_mine")
    mined = rpc("eth_getBlockByNumber", ["latest"])
    assert int(mined["timestamp"], 16) - int(before["timestamp"], 16) < 5_000
    assert mined["transactions"] == [pending]


def test_time__set_and_increased__in_next_blocks(fork: Fork) -> None:
    rpc = fork.chain.rpc
    now = int(rpc("eth_getBlockByNumber", ["latest"])["timestamp"], 16)
    rpc("evm_setNextBlockTimestamp", [now + 1000])
    rpc("evm_mine")
    assert int(rpc("eth_getBlockByNumber", ["latest"])["timestamp"], 16) == now + 1000
    rpc("evm_increaseTime", [500])
    rpc("evm_mine")
    assert int(rpc("eth_getBlockByNumber", ["latest"])["timestamp"], 16) >= now + 1500
    with pytest.raises(RpcError):
        rpc("evm_setNextBlockTimestamp", [now])


def test_set_balance__seen_and_spendable(fork: Fork) -> None:
    rpc = fork.chain.rpc
    rpc("anvil_setBalance", [fork.other, hex(10**30)])
    assert rpc("eth_getBalance", [fork.other]) == hex(10**30)
    sent = rpc("eth_sendTransaction", [{"from": fork.other, "to": fork.user, "value": hex(10**29)}])
    assert rpc("eth_getTransactionReceipt", [sent])["status"] == "0x1"


def test_nonce__gap__waits_for_the_one_before(fork: Fork) -> None:
    rpc = fork.chain.rpc
    nonce = int(rpc("eth_getTransactionCount", [fork.user]), 16)
    transfer = {"from": fork.user, "to": fork.other, "gas": hex(21_000)}
    later = rpc("eth_sendTransaction", [{**transfer, "nonce": hex(nonce + 1)}])
    assert rpc("eth_getTransactionReceipt", [later]) is None
    rpc("eth_sendTransaction", [{**transfer, "nonce": hex(nonce)}])
    assert rpc("eth_getTransactionReceipt", [later])["status"] == "0x1"
    with pytest.raises(RpcError, match="nonce too low"):
        rpc("eth_sendTransaction", [{**transfer, "nonce": hex(nonce)}])


def test_filters__report_what_is_new(fork: Fork) -> None:
    rpc = fork.chain.rpc
    blocks, logs = rpc("eth_newBlockFilter"), rpc("eth_newFilter", [{"address": PRECOMPILE}])
    fork.settle(fork.send_ask())
    assert len(rpc("eth_getFilterChanges", [blocks])) == 1
    assert len(rpc("eth_getFilterChanges", [logs])) == 1
    assert rpc("eth_getFilterChanges", [logs]) == []
    assert rpc("eth_uninstallFilter", [logs]) is True
    with pytest.raises(RpcError, match="filter not found"):
        rpc("eth_getFilterChanges", [logs])


def test_trace__of_an_inference__shows_the_precompile(fork: Fork) -> None:
    sent = fork.send_ask()
    fork.settle(sent)
    tree = fork.chain.rpc("debug_traceTransaction", [sent, {"tracer": "callTracer"}])
    assert tree["to"] == fork.ask.address
    assert {call["to"] for call in tree["calls"]} == {PRECOMPILE}
