"""``Web3Chain`` against a node that answers nonsense."""

import asyncio
import contextlib
import http.server
import json
import threading
import time

import pytest
from eth_abi import encode
from eth_utils.abi import event_abi_to_log_topic

from foretell_contracts import load
from foretell_relayer.chain import Web3Chain
from foretell_relayer.core import Status
from foretell_relayer.errors import NotSettlement, RpcRefused, RpcUnreachable, WouldRevert
from foretell_spec.settlement import POLICY_TUPLE, Delivery
from foretell_spec.tensor import tensor_hash
from tests.kit.anvil import free_port
from tests.kit.relay import OPERATOR, OTHER, REQUEST, SETTLEMENT, START, wads

SECRET = "canary-key"
ERROR_STRING = (
    "0x08c379a0"
    + (32).to_bytes(32, "big").hex()
    + (28).to_bytes(32, "big").hex()
    + b"settlement: request not open".ljust(32, b"\0").hex()
)


class Node:
    """Answers every question in one way, but for that for the chain id, which web3 asks by itself; or each as
    ``answer`` says.
    """

    chain_id = b'{"jsonrpc": "2.0", "id": 1, "result": "0x7a69"}'

    def __init__(self):
        self.status, self.body, self.pause, self.answer = 200, b"", 0.0, None
        node = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                time.sleep(node.pause)
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if node.answer is not None and asked["method"] != "eth_chainId":
                    try:
                        node.result(node.answer(asked["method"], asked["params"]))
                    except LookupError as error:
                        node.error(str(error))
                    except ConnectionError:
                        self.close_connection = True
                        return
                body = node.chain_id if asked["method"] == "eth_chainId" else node.body
                self.send_response(node.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # the client had no patience
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://user:{SECRET}@127.0.0.1:{self.server.server_port}/{SECRET}"

    def result(self, value):
        self.body = json.dumps({"jsonrpc": "2.0", "id": 1, "result": value}).encode()

    def error(self, message, **more):
        self.body = json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"message": message, **more}}).encode()


@pytest.fixture
def node():
    made = Node()
    yield made
    made.server.shutdown()
    made.server.server_close()


def ask(url, question, timeout=5.0):
    async def once():
        chain = Web3Chain(url, SETTLEMENT, timeout)
        try:
            return await question(chain)
        finally:
            await chain.close()

    return asyncio.run(once())


def test_head__normal_answer__is_read(node):
    node.result({"number": "0x5", "hash": "0x" + "11" * 32, "timestamp": "0x64", "baseFeePerGas": "0x7"})
    head = ask(node.url, lambda chain: chain.head())

    assert (head.ref.number, head.ref.hash, head.timestamp, head.base_fee) == (5, b"\x11" * 32, 100, 7)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>maintenance</html>"),
        (200, b'{"jsonrpc": "2.0", "id": 1, "res'),
        (200, b"[]"),
        (200, b'{"jsonrpc": "2.0", "id": 1, "result": null}'),
        (200, b'{"jsonrpc": "2.0", "id": 1, "result": {"number": "many"}}'),
        (200, b""),
        (429, b"{}"),
        (500, b"canary-key is over its quota"),
    ],
)
def test_head__nonsense__is_an_error_that_passes_without_the_key(node, status, body):
    node.status, node.body = status, body

    with pytest.raises((RpcRefused, RpcUnreachable)) as caught:
        ask(node.url, lambda chain: chain.head())
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_head__error_that_repeats_the_url__is_redacted(node):
    node.error(f"invalid key {SECRET} at {node.url}", code=-32000)

    with pytest.raises(RpcRefused) as caught:
        ask(node.url, lambda chain: chain.head())
    assert SECRET not in str(caught.value)
    assert "invalid key" in str(caught.value)


def test_head__slow__times_out(node):
    node.pause = 1.0

    with pytest.raises(RpcUnreachable, match=r"nothing within 0\.2 s"):
        ask(node.url, lambda chain: chain.head(), timeout=0.2)


def test_head__nobody_listens__is_unreachable():
    with pytest.raises(RpcUnreachable) as caught:
        ask(f"http://127.0.0.1:{free_port()}/{SECRET}", lambda chain: chain.head())
    assert SECRET not in str(caught.value)


def test_estimate__revert__carries_the_contracts_reason(node):
    node.error("execution reverted: settlement: request not open", code=3, data=ERROR_STRING)

    with pytest.raises(WouldRevert) as caught:
        ask(node.url, lambda chain: chain.estimate(OPERATOR, b"\1"))
    assert caught.value.reason == "settlement: request not open"


def test_receipt__unknown__is_none(node):
    node.result(None)

    assert ask(node.url, lambda chain: chain.receipt(b"\1" * 32)) is None
    assert ask(node.url, lambda chain: chain.is_known(b"\1" * 32)) is False
    assert ask(node.url, lambda chain: chain.block(7)) is None


def test_connect__no_code__is_no_settlement(node):
    node.result("0x")

    with pytest.raises(NotSettlement, match=SETTLEMENT):
        ask(node.url, lambda chain: chain.connect())


def test_connect__other_code__is_no_settlement(node):
    node.result("0x6001")

    with pytest.raises((NotSettlement, RpcRefused)):
        ask(node.url, lambda chain: chain.connect())


def test_events__log_of_another_contract__is_refused(node):
    topic = "0x" + "22" * 32
    node.result(
        [
            {
                "address": "0x" + "33" * 20, "topics": [topic], "data": "0x", "blockNumber": "0x1",
                "blockHash": "0x" + "44" * 32, "transactionHash": "0x" + "55" * 32, "transactionIndex": "0x0",
                "logIndex": "0x0", "removed": False,
            }
        ]
    )  # fmt: skip

    with pytest.raises(RpcRefused, match="nobody asked for"):
        ask(node.url, lambda chain: chain.events(0, 1))


# ---------------------------------------------------------------------- structs out of events


class Books:
    """Settlement as a node tells of it: a state, and logs that were made with its own ABI."""

    def __init__(self, node, commitment, *, longest=10_000, refusal=LookupError):
        self.commitment, self.longest, self.refusal, self.asked = commitment, longest, refusal, []
        self.logs = [REQUESTED_LOG, DELIVERED_LOG]
        node.answer = self

    def __call__(self, method, parameters):
        if method == "eth_blockNumber":
            return "0xbb8"
        if method == "eth_call":
            words = [2, 1, 0, START + 3600, 0, self.commitment]
            return "0x" + b"".join(word.to_bytes(32) for word in words).hex()
        first, last = (int(parameters[0][name], 16) for name in ("fromBlock", "toBlock"))
        self.asked.append((first, last))
        if last - first >= self.longest:
            raise self.refusal("too many blocks")
        return [log for log in self.logs if first <= int(log["blockNumber"], 16) <= last]


def log(name, indexed, types, values, block):
    abi = next(entry for entry in load("Settlement").abi if entry.get("name") == name)
    topics = (event_abi_to_log_topic(abi), *indexed)
    return {
        "address": SETTLEMENT, "topics": ["0x" + part.hex() for part in topics],
        "data": "0x" + encode(types, values).hex(), "blockNumber": hex(block), "blockHash": "0x" + "44" * 32,
        "transactionHash": "0x" + "55" * 32, "transactionIndex": "0x0", "logIndex": "0x0", "removed": False,
    }  # fmt: skip


def word(address):
    return bytes(12) + bytes.fromhex(address[2:])


REQUESTED_LOG = log(
    "Requested",
    [REQUEST.id(1, SETTLEMENT), REQUEST.model_id, word(REQUEST.requester)],
    ["uint64", "int256[]", "uint256", POLICY_TUPLE, "uint256", "uint64"],
    [0, wads((3, -4)), REQUEST.terms, REQUEST.policy.words(), REQUEST.fee, REQUEST.created_at],
    1,
)
DELIVERED_LOG = log(
    "Delivered", [REQUEST.id(1, SETTLEMENT), word(OTHER)], ["int256[]", "uint64"], [[-1], START], 2000
)
STANDS = Delivery(OTHER, tensor_hash((-1,)), START)


def test_structs__events_and_commitment_agree__are_rebuilt(node):
    Books(node, STANDS.commitment)
    request_id = REQUEST.id(1, SETTLEMENT)

    assert ask(node.url, lambda chain: chain.structs(request_id, 1)) == (REQUEST, STANDS)
    view = ask(node.url, lambda chain: chain.view(request_id, 1))
    assert (view.status, view.operator, view.output_hash) == (Status.DELIVERED, OTHER, STANDS.output_hash)
    assert view.delivered_at == START


@pytest.mark.parametrize("refusal", [LookupError, ConnectionError])
def test_structs__limit_on_ranges__halves_and_misses_nothing(node, refusal):
    books = Books(node, STANDS.commitment, longest=300, refusal=refusal)

    assert ask(node.url, lambda chain: chain.structs(REQUEST.id(1, SETTLEMENT), 1))[1] == STANDS
    assert books.asked[0] == (1, 1000)
    assert books.asked[-1][1] == 3000


def test_structs__events_that_the_contract_does_not_know__are_refused(node):
    Books(node, STANDS.commitment ^ 1)

    with pytest.raises(RpcRefused, match="not those that the contract has a hash of"):
        ask(node.url, lambda chain: chain.structs(REQUEST.id(1, SETTLEMENT), 1))
    with pytest.raises(RpcRefused, match="not those that the contract has a hash of"):
        ask(node.url, lambda chain: chain.view(REQUEST.id(1, SETTLEMENT), 1))


def test_structs__no_event_at_all__is_refused(node):
    Books(node, STANDS.commitment).logs.clear()

    with pytest.raises(RpcRefused, match="no event of a request"):
        ask(node.url, lambda chain: chain.structs(REQUEST.id(1, SETTLEMENT), 1))


def test_structs__first_event_is_missing__is_refused(node):
    Books(node, STANDS.commitment).logs.pop(0)

    with pytest.raises(RpcRefused, match="make no sense"):
        ask(node.url, lambda chain: chain.structs(REQUEST.id(1, SETTLEMENT), 1))


def test_structs__log_of_another_request__is_refused(node):
    Books(node, STANDS.commitment)

    with pytest.raises(RpcRefused, match="nobody asked for"):
        ask(node.url, lambda chain: chain.structs(b"\7" * 32, 1))
