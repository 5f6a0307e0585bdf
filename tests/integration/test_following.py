"""A node that follows another one: checks every block as it comes, has no model, and makes nothing itself."""

import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rlp
from click.testing import CliRunner
from web3 import HTTPProvider, Web3

from foretell_cli.app import main
from foretell_evm.chain import ForetellChain
from foretell_evm.config import ChainConfig, Mining
from foretell_evm.errors import BlockRejected, ConfigError, RpcError, UpstreamError
from foretell_evm.following import Follower
from foretell_spec.tensor import WAD
from tests.kit.fork import Fork, address_of
from tests.kit.nodes import Lie, NodeProcess, about, lying_node, serve_chain
from tests.kit.proxy import Proxy


@pytest.fixture
def fork() -> Iterator[Fork]:
    made = Fork()
    made.add_operator()
    made.settle(made.send_ask((WAD, WAD), 1))
    made.settle(made.send_ask((WAD, 2 * WAD), 4))
    yield made
    made.close()


@pytest.fixture
def url(fork: Fork) -> str:
    return serve_chain(fork.chain)


def follower_of(chain: ForetellChain) -> Follower:
    assert chain.follower is not None
    return chain.follower


def caught_up(fork: Fork, chain: ForetellChain) -> bool:
    return chain.head.block.hash == fork.chain.head.block.hash


def test_follow__a_node__has_its_blocks_and_keeps_up(fork: Fork, url: str) -> None:
    with ForetellChain.follow(url) as chain:
        fork.until(lambda: caught_up(fork, chain))
        fork.settle(fork.send_ask((WAD, 3 * WAD), 1))
        fork.until(lambda: caught_up(fork, chain))
        for method, params in (
            ("eth_getBlockByNumber", ["latest", True]),
            ("eth_getBlockReceipts", ["latest"]),
            ("foretell_sidecar", ["latest"]),
            ("foretell_chain", []),
            ("eth_getBalance", [fork.user, "latest"]),
        ):
            assert chain.rpc(method, params) == fork.chain.rpc(method, params), method


def test_follow__with_a_folder__goes_on_where_it_was(fork: Fork, url: str, tmp_path: Path) -> None:
    with ForetellChain.follow(url, tmp_path) as chain:
        fork.until(lambda: caught_up(fork, chain))
        before = chain.head.number
    fork.chain.mine(3)
    asked: list[str] = []

    def noting(method: str, result: Any) -> Any:
        asked.append(method if method != "foretell_sidecar" else f"block {int(result['blockNumber'], 16)}")
        return result

    with lying_node(fork.chain, noting) as node, ForetellChain.follow(node, tmp_path) as chain:
        fork.until(lambda: caught_up(fork, chain))
    blocks = [each for each in asked if each.startswith("block")]
    # Block 0 and the head tell whether it is the same chain.
    assert blocks == ["block 0", *(f"block {before + index}" for index in range(4))]


def test_follow__a_followers_chain__holds_too(fork: Fork, url: str) -> None:
    with ForetellChain.follow(url) as first, ForetellChain.follow(serve_chain(first)) as second:
        fork.until(lambda: caught_up(fork, second))
        assert CliRunner().invoke(main, ["verify", "--rpc", serve_chain(second)]).exit_code == 0


def other_state(result: Any) -> Any:
    block = rlp.decode(bytes.fromhex(result["block"][2:]))
    header = [*block[0][:3], b"\x11" * 32, *block[0][4:]]
    changed = rlp.encode([header, *block[1:]])
    return {
        **result,
        "block": "0x" + changed.hex(),
        "blockHash": "0x" + Web3.keccak(rlp.encode(header)).hex(),
    }


def only_later(change: Callable[[Any], Any], number: int) -> Callable[[Any], Any]:
    return lambda result: change(result) if int(result["blockNumber"], 16) >= number else result


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (other_state, "state_root"),
        (lambda result: {**result, "blockHash": "0x" + "11" * 32}, "block hash"),
        (lambda result: {**result, "answers": []}, "sidecar root"),
    ],
    ids=["state root", "hash", "no answers"],
)
def test_follow__bad_block__stops_before_it_and_says_which(
    fork: Fork, change: Callable[[Any], Any], rule: str
) -> None:
    bad = fork.chain.head.number
    with (
        lying_node(fork.chain, about("foretell_sidecar", only_later(change, bad))) as node,
        ForetellChain.follow(node) as chain,
    ):
        follower = follower_of(chain)
        assert follower.stopped.wait(20)
        failure = follower.failure
        assert isinstance(failure, BlockRejected)
        assert failure.rule == rule
        assert f"block {bad}" in str(failure)
        assert chain.head.number == bad - 1
        assert chain.head.block.hash == fork.chain.history.block(bad - 1).block.hash


def test_follow__node_that_went_back__stops(fork: Fork, url: str) -> None:
    snapshot = fork.chain.snapshot()
    fork.chain.mine(2)
    with ForetellChain.follow(url) as chain:
        fork.until(lambda: caught_up(fork, chain))
        fork.chain.revert(snapshot)
        fork.chain.increase_time(1000)
        fork.chain.mine(4)
        follower = follower_of(chain)
        assert follower.stopped.wait(20)
        assert isinstance(follower.failure, BlockRejected)
        assert follower.failure.rule in ("parent", "history")


def test_follow__node_that_lags__waits(fork: Fork) -> None:
    late = threading.Event()

    def lagging(result: Any) -> Any:
        return hex(int(result, 16) - 2) if late.is_set() else result

    with (
        lying_node(fork.chain, about("eth_blockNumber", lagging)) as node,
        ForetellChain.follow(node) as chain,
    ):
        fork.until(lambda: caught_up(fork, chain))
        late.set()
        assert not follower_of(chain).stopped.wait(2)
        late.clear()
        fork.chain.mine()
        fork.until(lambda: caught_up(fork, chain))


def test_follow__node_that_is_away__asks_again(fork: Fork, url: str) -> None:
    with (
        Proxy(int(url.rsplit(":", 1)[1])) as proxy,
        ForetellChain.follow(f"http://127.0.0.1:{proxy.port}") as chain,
    ):
        fork.until(lambda: caught_up(fork, chain))
        proxy.go_down()
        fork.chain.mine()
        assert not follower_of(chain).stopped.wait(1.5)
        proxy.come_up()
        fork.until(lambda: caught_up(fork, chain))


LIES: list[tuple[Lie, type[Exception], str]] = [
    (about("foretell_chain", lambda result: {**result, "base_fee": 7}), BlockRejected, "genesis"),
    (about("foretell_chain", lambda _: {}), ConfigError, "description"),
    (about("foretell_sidecar", lambda _: None), UpstreamError, "no block 0"),
    (about("eth_blockNumber", lambda _: "many"), UpstreamError, "without a number"),
]


@pytest.mark.parametrize(("lie", "error", "said"), LIES)
def test_follow__lies_at_the_start__are_refused(
    fork: Fork, lie: Lie, error: type[Exception], said: str
) -> None:
    with lying_node(fork.chain, lie) as node, pytest.raises(error, match=said):
        ForetellChain.follow(node)


def test_follow__into_the_folder_of_another_chain__is_refused(url: str, tmp_path: Path) -> None:
    ForetellChain.create(ChainConfig(chain_id=5), folder=tmp_path).close()
    with pytest.raises(ConfigError, match="another chain id"):
        ForetellChain.follow(url, tmp_path)


def test_follow__into_a_folder_that_went_another_way__is_refused(
    fork: Fork, url: str, tmp_path: Path
) -> None:
    config = replace(fork.config, mining=Mining.MANUAL)
    with ForetellChain.create(config, folder=tmp_path) as chain:
        chain.mine(2)
    with pytest.raises(BlockRejected, match="history: block 2"):
        ForetellChain.follow(url, tmp_path)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("evm_mine", []),
        ("anvil_setBalance", [address_of(5), "0x1"]),
        ("hardhat_setNonce", [address_of(5), "0x1"]),
        ("evm_snapshot", []),
        ("eth_sendTransaction", [{}]),
        ("eth_sendUnsignedTransaction", [{}]),
    ],
)
def test_follow__methods_that_change_a_chain__are_refused(
    fork: Fork, url: str, method: str, params: list[Any]
) -> None:
    with ForetellChain.follow(url) as chain:
        fork.until(lambda: caught_up(fork, chain))
        with pytest.raises(RpcError, match="follows"):
            chain.rpc(method, params)
        assert caught_up(fork, chain)


def test_follow__signed_transaction__goes_to_the_node(fork: Fork, url: str) -> None:
    account = fork.chain.accounts[3]
    with ForetellChain.follow(url) as chain:
        fields = {"to": address_of(5), "value": 1, "nonce": 0, "gas": 21_000, "chainId": 31337}
        fees = {"maxFeePerGas": 3 * 10**9, "maxPriorityFeePerGas": 10**9}
        signed = fork.w3.eth.account.sign_transaction({**fields, **fees}, account.key)
        sent = chain.rpc("eth_sendRawTransaction", ["0x" + signed.raw_transaction.hex()])
        fork.until(
            lambda: caught_up(fork, chain) and chain.rpc("eth_getTransactionReceipt", [sent]) is not None
        )
        with pytest.raises(RpcError, match="already known"):
            chain.rpc("eth_sendRawTransaction", ["0x" + signed.raw_transaction.hex()])


@pytest.mark.slow
def test_command__follows_until_interrupted_and_goes_on(fork: Fork, url: str, tmp_path: Path) -> None:
    for _ in range(2):
        with NodeProcess("--follow", url, "--data-dir", str(tmp_path)) as node:
            w3 = Web3(HTTPProvider(node.url))
            fork.until(lambda w3=w3: w3.eth.block_number == fork.chain.head.number)
            assert bytes(w3.eth.get_block("latest")["hash"]) == fork.chain.head.block.hash
            node.process.send_signal(signal.SIGINT)
            assert node.process.wait(20) == 130
        fork.chain.mine(2)


@pytest.mark.slow
def test_command__bad_block__ends_with_the_reason(fork: Fork) -> None:
    lie = about("foretell_sidecar", only_later(other_state, fork.chain.head.number))
    with lying_node(fork.chain, lie) as upstream, NodeProcess("--follow", upstream) as node:
        told, _ = node.process.communicate(timeout=30)
        assert node.process.returncode == 1
    assert "E-BLK-001" in told
    assert f"state_root: block {fork.chain.head.number}" in told


@pytest.mark.parametrize("option", [["--chain-id", "5"], ["--operators", "1"], ["--block-time", "1"]])
def test_command__options_of_a_chain__do_not_go_with_follow(option: list[str]) -> None:
    told = CliRunner().invoke(main, ["node", "--follow", "http://127.0.0.1:1", *option])
    assert told.exit_code == 2
    assert f"{option[0]} does not go with --follow" in " ".join(told.output.split())


def test_command__nobody_there__is_one_line() -> None:
    told = CliRunner().invoke(main, ["node", "--port", "0", "--follow", "http://127.0.0.1:1"])
    assert told.exit_code == 1
    assert "does not answer" in told.output
