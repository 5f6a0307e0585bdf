"""Hostile requests: each gets an answer with a code of JSON-RPC, and the node lives within its memory.

Short under `make test`; `make fuzz` draws many more.
"""

import contextlib
import json
import os
import random
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from foretell_evm.chain import ForetellChain
from foretell_evm.config import ETHER, ChainConfig
from foretell_evm.rpc import load, mining
from foretell_evm.rpc.dispatch import Dispatcher
from foretell_evm.rpc.methods import METHODS
from foretell_spec.addresses import PRECOMPILE
from tests.kit.nodes import NodeProcess

IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
CONNECTIONS = 500
MAX_GROWTH_BYTES = 512 * 2**20
CODES = {-32700, -32600, -32601, -32602, -32000, -32003, -32004, -32005, 3}
"""Every code but -32603, which says that something happened that nobody foresaw."""
CHAIN_ID = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}'

# -- parameters


def spoilt(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(good, good, good, JUNK)


JUNK = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20),
        st.sampled_from(["false", "0x", "0X1", "0x-1", "-1", "1e3", " 0x1", "0x" + "f" * 65, "\x00"]),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)  # fmt: skip
ADDRESSES = st.sampled_from(
    ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", PRECOMPILE, "0x" + "00" * 19 + "05", "0x" + "11" * 20]
)
QUANTITIES = st.one_of(
    st.integers(0, 2**64 + 1).map(hex),
    st.sampled_from(["0x0", "0x1", hex(2**63), hex(2**256 - 1), hex(2**256)]),
)
BLOCKS = st.sampled_from(
    ["latest", "earliest", "pending", "safe", "0x0", "0x1", "0xffffff", {"blockNumber": "0x1"}]
)
HASHES = st.binary(min_size=32, max_size=32).map(lambda each: "0x" + each.hex())
DATA = st.binary(max_size=200).map(lambda each: "0x" + each.hex())
AUTHORIZATIONS = st.fixed_dictionaries(
    {name: spoilt(QUANTITIES) for name in ("chainId", "nonce", "yParity", "r", "s")}
    | {"address": spoilt(ADDRESSES)}
)
ACCESSES = st.fixed_dictionaries(
    {"address": spoilt(ADDRESSES), "storageKeys": spoilt(st.lists(spoilt(HASHES), max_size=2))}
)
FLAGS = st.dictionaries(st.sampled_from(["diffMode", "withLog", "onlyTopCall"]), JUNK, max_size=2)
CALLS = st.fixed_dictionaries(
    {},
    optional={
        "from": spoilt(ADDRESSES), "to": spoilt(ADDRESSES), "data": spoilt(DATA), "input": spoilt(DATA),
        "value": spoilt(QUANTITIES), "gas": spoilt(QUANTITIES), "gasPrice": spoilt(QUANTITIES),
        "maxFeePerGas": spoilt(QUANTITIES), "maxPriorityFeePerGas": spoilt(QUANTITIES),
        "nonce": spoilt(QUANTITIES), "maxFeePerBlobGas": spoilt(QUANTITIES),
        "type": spoilt(st.integers(0, 5).map(hex)), "chainId": spoilt(st.just("0x7a69")),
        "accessList": spoilt(st.lists(spoilt(ACCESSES), max_size=2)),
        "authorizationList": spoilt(st.lists(spoilt(AUTHORIZATIONS), max_size=2)),
        "blobVersionedHashes": spoilt(st.lists(spoilt(HASHES), max_size=2)),
    },
)  # fmt: skip
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "tracer": spoilt(st.sampled_from(["callTracer", "prestateTracer"])), "tracerConfig": spoilt(FLAGS),
        "limit": spoilt(st.integers(0, 9)), "enableMemory": spoilt(st.booleans()),
        "fromBlock": spoilt(BLOCKS), "toBlock": spoilt(BLOCKS),
        "topics": spoilt(st.lists(spoilt(HASHES), max_size=5)), "address": spoilt(ADDRESSES),
        "stateOverrides": spoilt(st.dictionaries(ADDRESSES, JUNK, max_size=2)),
        "timestamp": spoilt(QUANTITIES),
        "balance": spoilt(QUANTITIES), "code": spoilt(DATA), "blocks": spoilt(QUANTITIES),
    },
)  # fmt: skip
PARAMS = st.lists(
    spoilt(st.one_of(ADDRESSES, QUANTITIES, BLOCKS, HASHES, DATA, CALLS, OPTIONS, st.booleans())), max_size=4
)
UNBOUNDED_HERE = {"anvil_reset", "hardhat_reset"}
NAMES = sorted({*METHODS, "eth_newFilter", "eth_getFilterLogs", "eth_uninstallFilter"} - UNBOUNDED_HERE)


@pytest.fixture(scope="module")
def chain() -> Iterator[ForetellChain]:
    patch = pytest.MonkeyPatch()
    patch.setattr(mining, "MAX_BLOCKS_AT_ONCE", 4)
    patch.setattr(mining, "MAX_DETAILED_BLOCKS", 4)
    with ForetellChain.create(ChainConfig(call_waits=0.1)) as made:
        sender, to = made.accounts[0].address, made.accounts[1].address
        made.rpc("eth_sendTransaction", [{"from": sender, "to": to, "value": hex(ETHER)}])
        yield made
    patch.undo()


def codes(answer: Any) -> list[int]:
    answers = answer if isinstance(answer, list) else [answer]
    for each in answers:
        assert each["jsonrpc"] == "2.0"
        assert ("result" in each) != ("error" in each)
    return [each["error"]["code"] for each in answers if "error" in each]


def check(chain: ForetellChain, request: Any) -> None:
    text = Dispatcher(chain).respond_encoded(request)
    assert text is not None
    found = codes(json.loads(text))
    assert set(found) <= CODES, text[:1000]


@pytest.mark.parametrize("method", NAMES)
def test_method__any_parameters__has_an_answer_with_a_code(chain: ForetellChain, method: str) -> None:
    snapshot = chain.snapshot()

    @settings(max_examples=1_000 if IS_LONG else 25)
    @given(PARAMS)
    def draw(params: list[Any]) -> None:
        check(chain, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})

    draw()
    chain.revert(snapshot)


REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": JUNK,
        "id": JUNK,
        "method": spoilt(st.sampled_from(["eth_chainId", "eth_nothing"])),
        "params": JUNK,
    },
)


@given(st.one_of(JUNK, REQUESTS, st.lists(REQUESTS | JUNK, max_size=5)))
def test_request__of_any_shape__has_an_answer_with_a_code(chain: ForetellChain, request: Any) -> None:
    text = Dispatcher(chain).respond_encoded(request)
    if text is not None:
        assert set(codes(json.loads(text))) <= CODES


# -- the doors of a node that runs as a program


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with NodeProcess("--operators", "0") as started:
        yield started


@pytest.fixture(autouse=True)
def bounded_memory(request: pytest.FixtureRequest) -> Iterator[None]:
    """The node is alive after each test that uses it, and holds little of what it was sent."""
    if "node" not in request.fixturenames:
        yield
        return
    node: NodeProcess = request.getfixturevalue("node")
    process = psutil.Process(node.process.pid)
    before = process.memory_info().rss
    yield
    assert requests.post(node.url, CHAIN_ID, timeout=60).json()["result"] == "0x7a69"
    grown = process.memory_info().rss - before
    assert grown < MAX_GROWTH_BYTES, f"{grown >> 20} MiB more"


def open_socket(url: str) -> socket.socket:
    where = urlsplit(url)
    return socket.create_connection((where.hostname or "", where.port or 0), timeout=30)


def bodies(count: int, seed: int) -> Iterator[bytes]:
    """Malformed JSON: cut, flipped, nested, repeated, random."""
    draw = random.Random(seed)
    good = b'{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["latest",true]}'
    for _ in range(count):
        at = draw.randrange(len(good))
        yield draw.choice(
            [
                good[:at],
                good[:at] + bytes([draw.randrange(256)]) + good[at + 1 :],
                good[:at] + good[at:] * draw.randrange(1, 40),
                b"[" * draw.randrange(1, 100_000),
                b'{"a":' * draw.randrange(1, 50_000),
                b"[" + b",".join([good] * draw.randrange(1, 60)) + b"]",
                draw.randbytes(draw.randrange(2_000)),
                b'"' + b"\\u0000" * draw.randrange(1, 9_000) + b'"',
                b'{"id":1e999,"method":"eth_chainId"}',
            ]
        )


def is_notification(body: bytes) -> bool:
    """Whether JSON-RPC answers nothing: a flipped byte may have taken a request's id away."""
    try:
        request = load.parse(body)
    except ValueError:
        return False
    return isinstance(request, dict) and isinstance(request.get("method"), str) and "id" not in request


def test_http__malformed_bodies__have_codes(node: NodeProcess) -> None:
    session = requests.Session()
    for body in bodies(2_000 if IS_LONG else 150, seed=1):
        answer = session.post(node.url, body, timeout=60)
        assert answer.status_code in (200, 204, 400), answer.text
        if answer.content:
            assert set(codes(answer.json())) <= CODES


def test_websocket__malformed_messages__have_codes_and_the_connection_lives(node: NodeProcess) -> None:
    with connect(node.url.replace("http", "ws"), max_size=None) as client:
        for body in bodies(2_000 if IS_LONG else 150, seed=2):
            client.send(body)
            if not is_notification(body):
                assert set(codes(json.loads(client.recv(timeout=60)))) <= CODES


def test_http__no_http__is_refused(node: NodeProcess) -> None:
    draw = random.Random(3)
    for _ in range(500 if IS_LONG else 40):
        with open_socket(node.url) as client, contextlib.suppress(ConnectionError):
            client.sendall(draw.randbytes(draw.randrange(1, 5_000)) + b"\r\n\r\n")
            answer = client.recv(100)
            assert not answer or b" 400 " in answer


def test_http__huge_bodies_at_once__are_refused_or_answered(node: NodeProcess) -> None:
    filler = b'{"id":1,"method":"eth_getBalance","params":["' + b"z" * (load.MAX_BODY_BYTES - 100) + b'"]}'
    clients = [open_socket(node.url) for _ in range(40 if IS_LONG else 12)]
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(filler)
    answers = []
    for client in clients:
        client.sendall(head + filler[: len(filler) // 2])
    for client in clients:
        with contextlib.suppress(OSError):
            client.sendall(filler[len(filler) // 2 :])
        with contextlib.suppress(OSError):
            answers.append(client.recv(12))
        client.close()
    assert {answer.split()[1] for answer in answers if answer} <= {b"200", b"503"}
    assert any(answer.startswith(b"HTTP/1.1 200") for answer in answers)


def test_connections__500_that_say_nothing__keep_nobody_out(node: NodeProcess) -> None:
    idle = [open_socket(node.url) for _ in range(CONNECTIONS)]
    for each in idle[::2]:
        each.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    for _ in range(20):
        assert requests.post(node.url, CHAIN_ID, timeout=60).status_code == 200
    for each in idle:
        each.close()


def test_websockets__500_with_subscriptions__are_told_of_a_block(node: NodeProcess) -> None:
    subscribe = '{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}'
    with contextlib.ExitStack() as stack:
        address = node.url.replace("http", "ws")
        clients = [stack.enter_context(connect(address, open_timeout=60)) for _ in range(CONNECTIONS)]
        for client in clients:
            client.send(subscribe)
        for client in clients:
            assert "result" in json.loads(client.recv(timeout=60))
        requests.post(node.url, '{"jsonrpc":"2.0","id":1,"method":"evm_mine"}', timeout=60)
        for client in clients:
            assert json.loads(client.recv(timeout=60))["method"] == "eth_subscription"


def test_websocket__that_never_reads__is_no_burden(node: NodeProcess) -> None:
    request = b"[" + b",".join([b'{"id":1,"method":"eth_getBlockByNumber","params":["latest"]}'] * 500) + b"]"
    with connect(node.url.replace("http", "ws"), max_size=None) as client:
        deadline = time.monotonic() + (20 if IS_LONG else 3)
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            while time.monotonic() < deadline:
                client.socket.settimeout(1)
                client.send(request)
