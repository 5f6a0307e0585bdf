"""The WebSocket door: requests, batches, subscriptions, and clients that misbehave."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from web3 import AsyncWeb3, WebSocketProvider
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from foretell_evm.rpc.http import MAX_BODY_BYTES, bind, serve
from foretell_evm.rpc.subscriptions import MAX_SUBSCRIPTIONS
from foretell_spec.addresses import PRECOMPILE
from tests.kit.fork import Fork

PATIENCE = 20.0


@pytest.fixture(scope="module")
def address(fork: Fork) -> str:
    listener = bind("127.0.0.1", 0)
    threading.Thread(target=serve, args=(fork.chain, listener), daemon=True).start()
    return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def socket(address: str) -> Iterator[ClientConnection]:
    with connect(f"ws://{address}", open_timeout=PATIENCE) as made:
        yield made


def say(socket: ClientConnection, method: str, *params: Any, identifier: int = 1) -> None:
    socket.send(json.dumps({"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}))


def hear(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=PATIENCE))


def ask(socket: ClientConnection, method: str, *params: Any) -> Any:
    say(socket, method, *params)
    return hear(socket)


def test_request__over_a_websocket__is_answered_as_over_http(socket: ClientConnection) -> None:
    assert ask(socket, "eth_chainId") == {"jsonrpc": "2.0", "id": 1, "result": "0x7a69"}
    assert ask(socket, "eth_nonsense")["error"]["code"] == -32601


def test_request__in_bytes__is_answered(socket: ClientConnection) -> None:
    socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}).encode())
    assert hear(socket)["result"] == "0x7a69"


def test_batch__over_a_websocket__is_answered_in_order(socket: ClientConnection) -> None:
    batch = [{"jsonrpc": "2.0", "id": index, "method": "eth_blockNumber"} for index in range(5)]
    socket.send(json.dumps(batch))
    assert [answer["id"] for answer in hear(socket)] == list(range(5))


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "", "nonsense", "\x00"])
def test_request__not_json__is_an_error_and_the_connection_lives(socket: ClientConnection, text: str) -> None:
    socket.send(text)
    assert hear(socket)["error"]["code"] == -32700
    assert ask(socket, "eth_chainId")["result"] == "0x7a69"


def test_request__waiting_for_a_model__does_not_hold_others_up() -> None:
    gate, slow = threading.Event(), Fork()
    slow.add_operator("gated", gate=gate)
    listener = bind("127.0.0.1", 0)
    threading.Thread(target=serve, args=(slow.chain, listener), daemon=True).start()
    try:
        with connect(f"ws://127.0.0.1:{listener.getsockname()[1]}", open_timeout=PATIENCE) as socket:
            say(socket, "eth_call", {"to": PRECOMPILE, "data": "0x" + slow.infer_data().hex()}, identifier=1)
            say(socket, "eth_chainId", identifier=2)
            assert hear(socket)["id"] == 2
            gate.set()
            assert hear(socket)["id"] == 1
    finally:
        gate.set()
        slow.close()


def test_new_heads__each_block__is_told(fork: Fork, socket: ClientConnection) -> None:
    identifier = ask(socket, "eth_subscribe", "newHeads")["result"]
    mined = [fork.chain.mine() for _ in range(3)]
    for record in mined:
        told = hear(socket)
        assert told["method"] == "eth_subscription"
        assert told["params"]["subscription"] == identifier
        assert told["params"]["result"]["hash"] == "0x" + record.block.hash.hex()
    assert ask(socket, "eth_unsubscribe", identifier)["result"] is True
    assert ask(socket, "eth_unsubscribe", identifier)["result"] is False
    fork.chain.mine()
    assert ask(socket, "eth_chainId")["result"] == "0x7a69"


def test_logs__matching_ones__are_told(fork: Fork, socket: ClientConnection) -> None:
    ask(socket, "eth_subscribe", "logs", {"address": PRECOMPILE})
    sent = fork.send_ask()
    fork.settle(sent)
    told = hear(socket)["params"]["result"]
    assert (told["transactionHash"], told["address"]) == (sent, PRECOMPILE)


@pytest.mark.parametrize("full", [False, True])
def test_pending_transactions__as_they_come__are_told(
    fork: Fork, socket: ClientConnection, full: bool
) -> None:
    ask(socket, "eth_subscribe", "newPendingTransactions", *([True] if full else []))
    fork.chain.set_automine(enabled=False)
    try:
        message = {"from": fork.other, "to": fork.user, "value": 1}
        sent = "0x" + bytes(fork.w3.eth.send_transaction(message)).hex()
        told = hear(socket)["params"]["result"]
        assert (told["hash"] if full else told) == sent
    finally:
        fork.chain.set_automine(enabled=True)


@pytest.mark.parametrize("kind", ["newHats", None, 5, {"a": 1}])
def test_subscribe__unknown_kind__is_refused(socket: ClientConnection, kind: Any) -> None:
    assert ask(socket, "eth_subscribe", kind)["error"]["code"] == -32602


def test_subscribe__too_often__is_refused(socket: ClientConnection) -> None:
    for _ in range(MAX_SUBSCRIPTIONS):
        assert "result" in ask(socket, "eth_subscribe", "newPendingTransactions")
    assert ask(socket, "eth_subscribe", "newPendingTransactions")["error"]["code"] == -32005


def test_subscribe__over_http__is_unknown(address: str) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
    assert requests.post(f"http://{address}", json=request, timeout=20).json()["error"]["code"] == -32601


def test_message__over_the_limit__ends_the_connection_alone(address: str) -> None:
    with connect(f"ws://{address}", max_size=None, open_timeout=PATIENCE) as socket:
        with suppress(ConnectionClosed):
            socket.send("x" * (MAX_BODY_BYTES + 1))
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=PATIENCE)
    with connect(f"ws://{address}", open_timeout=PATIENCE) as socket:
        assert ask(socket, "eth_chainId")["result"] == "0x7a69"


def test_page__of_another_machine__is_refused_by_both_doors(address: str) -> None:
    page = "https://example.com"
    with pytest.raises(InvalidStatus) as refused, connect(f"ws://{address}", origin=page):
        pass
    assert refused.value.response.status_code == 403
    answer = requests.post(f"http://{address}", data=b"{}", headers={"Origin": page}, timeout=20)
    assert answer.status_code == 403


def test_page__of_this_machine__is_answered_and_may_read_it(address: str) -> None:
    page = "http://localhost:3000"
    with connect(f"ws://{address}", origin=page) as socket:
        assert ask(socket, "eth_chainId")["result"] == "0x7a69"
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}
    answer = requests.post(f"http://{address}", json=request, headers={"Origin": page}, timeout=20)
    assert answer.headers["access-control-allow-origin"] == page


def test_client__that_goes_without_a_word__leaves_the_node_well(address: str, fork: Fork) -> None:
    for _ in range(20):
        socket = connect(f"ws://{address}", open_timeout=PATIENCE)
        say(socket, "eth_subscribe", "newHeads")
        socket.socket.close()
    fork.chain.mine()
    with connect(f"ws://{address}", open_timeout=PATIENCE) as socket:
        assert ask(socket, "eth_chainId")["result"] == "0x7a69"


def test_web3_client__subscribes__and_sees_the_block(address: str, fork: Fork) -> None:
    async def first_head() -> Any:
        async with AsyncWeb3(WebSocketProvider(f"ws://{address}")) as w3:
            await w3.eth.subscribe("newHeads")
            await asyncio.get_running_loop().run_in_executor(None, fork.chain.mine)
            return (await anext(w3.socket.process_subscriptions()))["result"]

    head = asyncio.run(asyncio.wait_for(first_head(), PATIENCE))
    assert head["number"] == fork.chain.head.number
