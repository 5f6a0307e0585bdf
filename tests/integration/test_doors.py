"""Who is answered at the doors of a node, and what it takes on at once."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from foretell_evm import cli
from foretell_evm.chain import ForetellChain
from foretell_evm.config import ETHER, ChainConfig, Mining
from foretell_evm.errors import ConfigError
from foretell_evm.rpc import dispatch, http, load
from foretell_evm.rpc.callers import Callers
from foretell_evm.rpc.dispatch import Dispatcher
from foretell_evm.rpc.load import Load, TooMuch
from foretell_spec.addresses import PRECOMPILE
from tests.kit.fork import Fork
from tests.kit.nodes import serve_chain

CHAIN_ID = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"})


@pytest.fixture(scope="module")
def chain() -> Iterator[ForetellChain]:
    with ForetellChain.create() as made:
        yield made


@pytest.fixture(scope="module")
def url(chain: ForetellChain) -> str:
    return serve_chain(chain)


def post(url: str, body: str | bytes = CHAIN_ID, **headers: str) -> requests.Response:
    return requests.post(url, data=body, headers=headers, timeout=60)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8545", "127.0.0.1", "[::1]:8545", "192.168.1.7:8545"]
)
def test_host__of_this_machine_or_an_address__is_answered(url: str, host: str) -> None:
    assert post(url, Host=host).json()["result"] == "0x7a69"


@pytest.mark.parametrize(
    "host", ["attacker.example", "attacker.example:8545", "localhost.attacker.example", "1.2.3"]
)
def test_host__that_somebody_pointed_here__is_refused(url: str, host: str) -> None:
    assert post(url, Host=host).status_code == 403
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert requests.get(url, headers={**upgrade, **key, "Host": host}, timeout=20).status_code == 403


def test_host_and_origin__that_were_allowed__are_answered() -> None:
    callers = Callers(origins=frozenset({"https://app.example"}), hosts=frozenset({"node"}))
    assert callers.refusal({"host": "node:8545", "origin": "https://app.example"}) is None
    assert callers.refusal({"host": "other:8545"}) is not None
    assert callers.refusal({"origin": "https://app.example.attacker"}) is not None
    anybody = Callers(origins=frozenset({"*"}), hosts=frozenset({"*"}))
    assert anybody.refusal({"host": "other", "origin": "https://attacker.example"}) is None


def test_page__of_an_allowed_origin__may_read_the_answer(chain: ForetellChain) -> None:
    url = serve_chain(chain, Callers(origins=frozenset({"https://app.example"})))
    answer = post(url, Origin="https://app.example")
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert post(url, Origin="https://other.example").status_code == 403


def test_preflight__of_a_page__says_which_pages_may_ask(chain: ForetellChain) -> None:
    url = serve_chain(chain, Callers(origins=frozenset({"https://app.example"})))
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    allowed = requests.options(url, headers={"Origin": "https://app.example", **asked}, timeout=20)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    refused = requests.options(url, headers={"Origin": "https://other.example", **asked}, timeout=20)
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


def test_door__asked_otherwise_than_by_post_to_its_root__says_so(url: str) -> None:
    assert requests.get(url, timeout=20).status_code == 405
    assert requests.post(f"{url}/other", CHAIN_ID, timeout=20).status_code == 404


def test_answer__leaves_with_its_head_in_one_piece(url: str) -> None:
    where = urlsplit(url)
    request = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(CHAIN_ID)}\r\n\r\n{CHAIN_ID}"
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=20) as client:
        for _ in range(20):
            client.sendall(request.encode())
            assert b'"0x7a69"' in client.recv(65_536)


def test_connection__that_is_to_end__ends_after_its_answer(url: str) -> None:
    assert post(url, Connection="close").json()["result"] == "0x7a69"


def test_body__over_the_limit__is_refused_and_the_node_lives(url: str) -> None:
    assert post(url, b"[" + b" " * load.MAX_BODY_BYTES + b"]").status_code == 413
    assert post(url).status_code == 200


def test_body__of_too_many_values__is_refused(url: str) -> None:
    assert post(url, b"[" + b"{}," * load.MAX_VALUES + b"1]").json()["error"]["code"] == -32700


def test_message__over_the_limit__ends_its_connection_alone(url: str) -> None:
    address = url.replace("http", "ws")
    with connect(address) as other, connect(address, max_size=None) as greedy:
        greedy.send("[" + " " * load.MAX_MESSAGE_BYTES + "]")
        with pytest.raises(ConnectionClosed) as closed:
            greedy.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        other.send(CHAIN_ID)
        assert json.loads(other.recv(timeout=20))["result"] == "0x7a69"


def test_bytes_held__over_the_limit__are_refused_until_some_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MAX_HELD_BYTES", 100)
    held = Load()
    with held.holding() as first, held.holding() as second:
        first(60)
        second(40)
        with pytest.raises(TooMuch):
            second(1)
    with held.holding() as third:
        third(100)


def test_node__that_holds_too_much__says_so(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MAX_HELD_BYTES", 10)
    answer = post(url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, -32005)
    with connect(url.replace("http", "ws")) as socket:
        socket.send(CHAIN_ID)
        assert json.loads(socket.recv(timeout=20))["error"]["code"] == -32005


def test_connections__over_the_limit__are_told(chain: ForetellChain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_CONNECTIONS", 3)
    url = serve_chain(chain)
    with connect(url.replace("http", "ws")), connect(url.replace("http", "ws")):
        assert post(url).status_code == 503
    for _ in range(50):
        if post(url).status_code == 200:
            return
    pytest.fail("the node takes no more connections though the others are gone")


def test_response__that_is_too_large__is_an_error(
    chain: ForetellChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "MAX_RESPONSE_BYTES", 100)
    dispatcher = Dispatcher(chain)
    large = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest"]}
    small = {"jsonrpc": "2.0", "id": 2, "method": "eth_chainId"}
    assert json.loads(dispatcher.respond_encoded(large) or b"")["error"]["code"] == -32003
    answers = json.loads(dispatcher.respond_encoded([small, large, small]) or b"")
    assert [each.get("error", {}).get("code") for each in answers] == [None, -32003, -32003]
    assert [each["id"] for each in answers] == [2, 1, 2]


def test_error__about_long_parameters__is_short(url: str) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": ["z" * 1_000_000]}
    assert len(post(url, json.dumps(request)).content) < 2_000


@pytest.mark.parametrize("identifier", ["true", "[]", "{}"])
def test_request__with_an_id_that_is_none__is_refused(url: str, identifier: str) -> None:
    answer = post(url, f'{{"id":{identifier},"method":"eth_chainId"}}').json()
    assert (answer["id"], answer["error"]["code"]) == (None, -32600)


def test_callers_that_wait_for_a_model__keep_nobody_waiting() -> None:
    gate, fork = threading.Event(), Fork()
    fork.add_operator("gated", gate=gate)
    url, waiting = serve_chain(fork.chain), 60
    question = {"to": PRECOMPILE, "data": "0x" + fork.infer_data().hex()}
    ask = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [question]})
    plain = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{"to": fork.user}]})
    try:
        with ThreadPoolExecutor(waiting) as clients:
            answers = [clients.submit(post, url, ask) for _ in range(waiting)]
            while not fork.chain.calls.waiting >= waiting:
                threading.Event().wait(0.05)
            assert post(url).json()["result"] == "0x7a69"
            assert post(url, plain).json()["result"] == "0x"
            gate.set()
            assert len({each.result().json()["result"] for each in answers}) == 1
    finally:
        gate.set()
        fork.close()


def test_callers_that_wait__over_the_limit__are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foretell_evm.calls.MAX_WAITING", 0)
    fork = Fork()
    fork.add_operator()
    try:
        question = {"to": PRECOMPILE, "data": "0x" + fork.infer_data().hex()}
        with pytest.raises(Exception, match="calls wait already"):
            fork.chain.rpc("eth_call", [question])
    finally:
        fork.close()


def options(*arguments: str) -> tuple[ChainConfig, cli.Doors]:
    context = cli.node.make_context("node", list(arguments))
    given: dict[str, Any] = dict(context.params)
    doors = cli.take_doors(given)
    return cli.chain_config(**given), doors


def test_options__of_anvil__make_the_chain_and_its_doors(tmp_path: Path) -> None:
    out = tmp_path / "node.json"
    config, doors = options(
        "--gas-limit", "40000000", "--base-fee", "7", "--balance", "5", "--timestamp", "1700000000",
        "-b", "2", "--accounts", "3", "--allow-origin", "https://app.example", "--allow-host", "Node", "-q",
        "--config-out", str(out),
    )  # fmt: skip
    assert (config.gas_limit, config.base_fee, config.balance) == (40_000_000, 7, 5 * ETHER)
    assert (config.genesis_time, config.mining, config.block_time) == (1_700_000_000, Mining.INTERVAL, 2.0)
    assert doors.callers == Callers(frozenset({"https://app.example"}), frozenset({"node"}))
    assert (doors.quiet, doors.config_out) == (True, out)
    with ForetellChain.create(config) as chain:
        block = chain.rpc("eth_getBlockByNumber", ["earliest"])
        assert (block["gasLimit"], block["baseFeePerGas"], block["timestamp"]) == (
            "0x2625a00",
            "0x7",
            "0x6553f100",
        )
        assert chain.rpc("eth_getBalance", [chain.accounts[2].address, "earliest"]) == hex(5 * ETHER)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--gas-limit", "5"],
        ["--base-fee", "-1"],
        ["--balance", "much"],
        ["--timestamp", "soon"],
        ["--accounts", "0"],
        ["--port", "70000"],
        ["--block-time", "0"],
        ["--block-time", "1", "--no-mining"],
    ],
    ids=str,
)
def test_options__that_make_no_chain__are_refused(arguments: list[str]) -> None:
    result = CliRunner().invoke(
        cli.node, [*arguments, "--port", "0"] if "--port" not in arguments else arguments
    )
    assert result.exit_code == 2
    assert arguments[0] in result.output


def test_mnemonic__that_is_none__says_what_one_is() -> None:
    with pytest.raises(ConfigError, match="12 to 24 words"):
        ForetellChain.create(ChainConfig(mnemonic="test test test"))


def test_load__run__answers_in_a_thread() -> None:
    async def scenario() -> str:
        return await Load().run({"method": "eth_call"}, lambda _: threading.current_thread().name)

    assert asyncio.run(scenario()) != threading.current_thread().name
