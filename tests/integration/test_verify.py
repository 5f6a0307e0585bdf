"""``foretell verify``: honest nodes, and nodes that lie about everything that they can lie about."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any

import pytest
import rlp
from click.testing import CliRunner, Result

from foretell_cli.app import main
from foretell_evm import upstream
from foretell_evm.description import ChainDescription
from foretell_evm.errors import ConfigError, UpstreamError
from foretell_evm.rpc.http import bind
from foretell_spec.tensor import WAD
from tests.kit.fork import Fork
from tests.kit.nodes import Lie, about, lying_node, serve_chain


@pytest.fixture(scope="module")
def fork() -> Iterator[Fork]:
    made = Fork()
    made.add_operator()
    made.settle(made.send_ask((WAD, WAD), 1))
    made.settle(made.send_ask((WAD, 2 * WAD), 4))
    yield made
    made.close()


@pytest.fixture(scope="module")
def url(fork: Fork) -> str:
    return serve_chain(fork.chain)


def verify(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["verify", *arguments])


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_verify__every_block__shows_what_the_answers_are_worth(fork: Fork, url: str) -> None:
    blocks = lines(verify("--rpc", url, "--json"))
    records = list(fork.chain.history.blocks(1, fork.chain.head.number))
    assert [block["hash"] for block in blocks] == ["0x" + record.block.hash.hex() for record in records]
    worth = [answer["assurance"] for block in blocks for answer in block["answers"]]
    assert worth == ["SIGNED", "PROVEN"]


def test_verify__in_a_table__names_checks_and_evidence(url: str) -> None:
    told = verify("--rpc", url)
    assert told.exit_code == 0
    for said in ("proof verified", "signature checked", "execution", "no model was run", "genesis 0x"):
        assert said in " ".join(told.output.split()), told.output


def test_verify__one_block_or_a_range__shows_these(fork: Fork, url: str) -> None:
    assert [block["number"] for block in lines(verify("2", "--rpc", url, "--json"))] == [2]
    assert [block["number"] for block in lines(verify("2-4", "--rpc", url, "--json"))] == [2, 3, 4]
    head = fork.chain.head.number
    assert [block["number"] for block in lines(verify(f"{head}-", "--rpc", url, "--json"))] == [head]


def test_verify__a_transaction__shows_its_block(fork: Fork, url: str) -> None:
    record = fork.chain.head
    sent = "0x" + bytes(record.block.transactions[0].hash).hex()
    (block,) = lines(verify(sent, "--rpc", url, "--json"))
    assert block["number"] == record.number
    assert sent in verify(sent, "--rpc", url).output.replace("\n", "")


def test_verify__with_the_genesis_that_one_knows__holds(fork: Fork, url: str) -> None:
    genesis = "0x" + fork.chain.history.block(0).block.hash.hex()
    assert verify("1", "--rpc", url, "--genesis", genesis).exit_code == 0
    other = verify("1", "--rpc", url, "--genesis", "0x" + "11" * 32)
    assert other.exit_code == 1
    assert "the one that you gave" in other.output


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("0x" + "12" * 32, "has no transaction"),
        ("999999", "has no block 999999"),
        ("999999-", "has no block 999999"),
        ("4-2", "upside down"),
        ("latest", "no transaction hash"),
        ("0x12", "no transaction hash"),
        ("-1", ""),
        ("9" * 50, "no transaction hash"),
    ],
)
def test_verify__bad_argument__is_an_error_that_says_so(url: str, what: str, said: str) -> None:
    result = verify(what, "--rpc", url)
    assert result.exit_code in (1, 2)
    assert said in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_verify__genesis_that_is_no_hash__is_refused(url: str) -> None:
    assert "no hash of 32 bytes" in verify("--rpc", url, "--genesis", "0x12").output


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "no url", "ftp://127.0.0.1/"])
def test_verify__nobody_there__is_one_line(address: str) -> None:
    result = verify("--rpc", address)
    assert result.exit_code == 1
    assert "does not answer" in result.output
    assert "Hint" in result.output


@pytest.fixture
def liar(fork: Fork) -> Iterator[Callable[[Lie], str]]:
    """Makes nodes that lie."""
    with ExitStack() as stack:
        yield lambda lie: stack.enter_context(lying_node(fork.chain, lie))


def without_answers(result: Any) -> Any:
    return {**result, "answers": []}


def other_outputs(result: Any) -> Any:
    for answer in result["answers"]:
        answer["outputs"] = ["1"]
        answer["bundles"][0]["outputs"] = ["1"]
    return result


def other_state_root(result: Any) -> Any:
    block = rlp.decode(bytes.fromhex(result["block"][2:]))
    header = list(block[0])
    header[3] = b"\x11" * 32
    return {**result, "block": "0x" + rlp.encode([header, *block[1:]]).hex()}


def richer(result: Any) -> Any:
    result["funded"][0]["wei"] += 1
    return result


LIES: list[tuple[Lie, str]] = [
    (about("foretell_sidecar", without_answers), "sidecar root"),
    (about("foretell_sidecar", other_outputs), "sidecar root"),
    (about("foretell_sidecar", other_state_root), "0x"),
    (about("foretell_sidecar", lambda result: {**result, "blockHash": "0x" + "11" * 32}), "0x1111"),
    (about("foretell_sidecar", lambda result: {**result, "block": "0xc0"}), "no"),
    (about("foretell_sidecar", lambda result: {**result, "answers": 5}), "no block"),
    (about("foretell_sidecar", lambda _: None), "no block"),
    (about("foretell_chain", richer), "genesis"),
    (about("foretell_chain", lambda result: {**result, "chain_id": 5}), "request id"),
    (about("foretell_chain", lambda result: {**result, "chain_id": "5"}), "chain_id"),
    (about("foretell_chain", lambda result: {**result, "more": 1}), "more"),
    (about("foretell_chain", lambda _: []), "description"),
    (about("eth_blockNumber", lambda _: "many"), "without a number"),
    (about("eth_blockNumber", lambda _: {}), "without a number"),
    (about("eth_blockNumber", lambda _: "-0x1"), "without a number"),
    (about("eth_blockNumber", lambda _: hex(10**6)), "header not found"),
]


@pytest.mark.parametrize(("lie", "said"), LIES)
def test_verify__node_that_lies__is_caught_with_a_reason(
    liar: Callable[[Lie], str], lie: Lie, said: str
) -> None:
    result = verify("--rpc", liar(lie), "--json")
    assert result.exit_code == 1, result.output
    assert said in " ".join(result.output.split())
    assert "Unexpected" not in result.output


@pytest.mark.parametrize("number", ["0x0", "0x1", "-0x5", " 0x0 ", "0x0_1", 0, None, "0x" + "f" * 17])
def test_verify__transaction_that_the_node_made_up__is_never_said_to_hold(
    liar: Callable[[Lie], str], number: Any
) -> None:
    url = liar(about("eth_getTransactionReceipt", lambda _: {"blockNumber": number}))
    for form in ((), ("--json",)):
        result = verify("0x" + "12" * 32, "--rpc", url, *form)
        assert result.exit_code == 1, result.output
        assert "is in block" not in result.output


def test_upstream__that_sends_a_byte_now_and_then__is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "_ANSWER_S", 0.2)
    done = threading.Event()
    listener = bind("127.0.0.1", 0)

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not done.wait(0.05):
                connection.sendall(b" ")

    threading.Thread(target=drip, daemon=True).start()
    with closing(listener), upstream.Upstream(f"http://127.0.0.1:{listener.getsockname()[1]}") as node:
        try:
            with pytest.raises(UpstreamError, match="seconds for one answer"):
                node.head()
        finally:
            done.set()


def test_verify__node_without_our_methods__says_that_it_is_none(liar: Callable[[Lie], str]) -> None:
    def refuse(method: str, result: Any) -> Any:
        del result
        raise ConnectionError(method)

    result = verify("--rpc", liar(refuse))
    assert result.exit_code == 1
    assert "does not answer" in result.output


def test_description__of_a_chain__makes_its_genesis(fork: Fork) -> None:
    said = fork.chain.rpc("foretell_chain")
    config = ChainDescription.read(said).config()
    assert config.genesis_time == fork.chain.history.block(0).header.timestamp
    with pytest.raises(ConfigError, match="coinbase"):
        ChainDescription.read({**said, "coinbase": "0x12"})
