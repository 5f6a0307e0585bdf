"""Requests per second of the development node, of eth-tester served by the same server, and of anvil.

Each answers the same mix over kept-alive connections: reads, calls of a token, and signed transfers that are
mined one by one. The clients take CPU of the same machine, so the CPU time that each server used per request
is shown as well: it hardly depends on what else runs. eth-tester hashes with what eth-hash takes by itself
where web3 is installed (pycryptodome); the node has chosen a faster one, and that is part of it. The servers
take turns, and the medians count, so that all of them meet whatever else the machine does.

Bars: at least 3 times eth-tester, and within 10 times of anvil.

Run: ``python scripts/bench/rpc_throughput.py``
"""

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

import click
import psutil
import requests
from eth_abi import encode
from eth_account import Account
from eth_utils import keccak

from foretell_contracts import load
from foretell_evm.accounts import dev_accounts
from foretell_evm.config import DEV_MNEMONIC, ETHER, GWEI

ROOT: Final = Path(__file__).resolve().parents[2]
ANVIL: Final = ROOT / "node_modules" / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"
CLIENTS: Final = 4
MIX: Final = {"read": 60, "call": 30, "send": 10}
MIN_TIMES_ETH_TESTER: Final = 3.0
MAX_TIMES_SLOWER_THAN_ANVIL: Final = 10.0
GO: Final = "from foretell_cli import main; main()"


@dataclass(frozen=True)
class Figures:
    """What one server did."""

    per_second: float
    cpu_ms: float

    @classmethod
    def median(cls, figures: Sequence["Figures"]) -> "Figures":
        """The middle one of each."""
        return cls(median(each.per_second for each in figures), median(each.cpu_ms for each in figures))


@contextmanager
def server(*command: str, backend: str = "") -> Iterator[tuple[str, psutil.Process]]:
    """A program that prints the address that it listens on; ``backend`` is what it hashes with, if named."""
    environment = {**os.environ, "ETH_HASH_BACKEND": backend}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT, env=environment
    ) as child:
        try:
            for line in child.stdout or ():
                if "127.0.0.1:" in line:
                    # anvil tells of each request, and stops where nobody listens.
                    threading.Thread(target=child.communicate, daemon=True).start()
                    yield (
                        "http://127.0.0.1:" + line.split("127.0.0.1:")[1].split()[0],
                        psutil.Process(child.pid),
                    )
                    return
            raise SystemExit(f"{command[0]} did not start")
        finally:
            child.kill()


def serve_eth_tester() -> None:
    """eth-tester's PyEVM backend behind the node's own HTTP door."""
    from eth_tester import EthereumTester, PyEVMBackend
    from web3 import Web3
    from web3.providers.eth_tester import EthereumTesterProvider

    from foretell_evm.rpc.callers import Callers
    from foretell_evm.rpc.dispatch import encode as to_text
    from foretell_evm.rpc.http import bind, http_door, run
    from foretell_evm.rpc.load import Load

    empty = {"balance": 10_000 * ETHER, "nonce": 0, "code": b"", "storage": {}}
    accounts = dev_accounts(DEV_MNEMONIC, 10)
    backend = PyEVMBackend(genesis_state={bytes.fromhex(account.address[2:]): empty for account in accounts})
    provider = EthereumTesterProvider(EthereumTester(backend))
    w3 = Web3(provider)
    w3.middleware_onion.clear()
    # With the provider's own translation of eth-tester's names, and nothing else.
    make_request = provider.request_func(w3, w3.middleware_onion)
    lock = threading.Lock()

    def respond(request: Any) -> bytes:
        with lock:  # it is made for one thread
            answer = make_request(request["method"], request["params"])
        return to_text(_plain(answer))

    listener = bind("127.0.0.1", 0)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    run(http_door(respond, Callers(), Load()), listener)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + bytes(value).hex()
    if hasattr(value, "items"):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


class Node:
    """One server, asked for what the mix needs to know."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self.chain_id = self._number(self.ask("eth_chainId"))

    @staticmethod
    def _number(value: Any) -> int:
        return value if isinstance(value, int) else int(value, 16)

    def ask(self, method: str, *params: Any) -> Any:
        """The result of a method."""
        answer = self._session.post(self.url, json=_request(method, *params), timeout=60).json()
        if "error" in answer:
            raise SystemExit(f"{method}: {answer['error']}")
        return answer["result"]

    def deploy_token(self) -> tuple[str, str]:
        """A token's address, and the hash of the transaction that made it."""
        artifact, key = load("IndexToken"), dev_accounts(DEV_MNEMONIC, 10)[9].key
        code = artifact.bytecode + encode(["uint256"], [10**24])
        sent = self.ask("eth_sendRawTransaction", self.signed(key.to_bytes(), 0, b"", code, 3_000_000))
        while (receipt := self.ask("eth_getTransactionReceipt", sent)) is None:
            time.sleep(0.05)
        return str(receipt["contractAddress"]), sent

    def signed(self, key: bytes, nonce: int, to: bytes, data: bytes, gas: int) -> str:
        """A raw transaction."""
        fields = {
            "chainId": self.chain_id, "nonce": nonce, "to": to, "value": 0 if data else 1, "data": data,
            "gas": gas, "maxFeePerGas": 10 * GWEI, "maxPriorityFeePerGas": GWEI, "type": 2,
        }  # fmt: skip
        return "0x" + bytes(Account.sign_transaction(fields, key).raw_transaction).hex()


def _request(method: str, *params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}


def requests_of(node: Node, token: str, deployment: str, client: int, count: int) -> list[bytes]:
    """A client's requests as HTTP, in the order of the mix; its transfers are of an account of its own."""
    account = dev_accounts(DEV_MNEMONIC, 10)[client]
    balance_of = "0x" + (keccak(text="balanceOf(address)")[:4] + encode(["address"], [account.address])).hex()
    reads = [
        _request("eth_blockNumber"),
        _request("eth_getBalance", account.address, "latest"),
        _request("eth_getBlockByNumber", "0x1", False),
        _request("eth_getTransactionReceipt", deployment),
        _request("eth_getTransactionCount", account.address, "latest"),
    ]
    call = _request("eth_call", {"from": account.address, "to": token, "data": balance_of}, "latest")
    draw, nonce, made = random.Random(client), 0, []  # noqa: S311 - the mix is the same each time
    for kind in draw.choices(list(MIX), list(MIX.values()), k=count):
        if kind == "send":
            raw = node.signed(account.key.to_bytes(), nonce, b"\x77" * 20, b"", 21_000)
            made.append(_request("eth_sendRawTransaction", raw))
            nonce += 1
        else:
            made.append(call if kind == "call" else draw.choice(reads))
    return [_http(json.dumps(each).encode()) for each in made]


def _http(body: bytes) -> bytes:
    head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _run_client(url: str, prepared: list[bytes], errors: list[bytes]) -> None:
    where = urlsplit(url)
    with socket.create_connection((where.hostname or "", where.port or 0)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rb")
        for request in prepared:
            connection.sendall(request)
            length = 0
            while (line := stream.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = stream.read(length)
            if b'"result"' not in body:
                errors.append(body)
                return


def measure(url: str, process: psutil.Process, count: int) -> Figures:
    """Run the mix, ``count`` requests of each client."""
    node, errors = Node(url), list[bytes]()
    token, deployment = node.deploy_token()
    prepared = [requests_of(node, token, deployment, client, count) for client in range(CLIENTS)]
    threads = [threading.Thread(target=_run_client, args=(url, each, errors)) for each in prepared]
    cpu, began = _cpu(process), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, used = time.perf_counter() - began, _cpu(process) - cpu
    if errors:
        raise SystemExit(f"an answer without a result: {errors[0][:500]!r}")
    return Figures(CLIENTS * count / seconds, 1000 * used / (CLIENTS * count))


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@click.command()
@click.option(
    "--count", type=click.IntRange(10), default=500, show_default=True, help="Requests of each client."
)
@click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True, help="Of all servers in turn."
)
@click.option("--eth-tester", "serves", is_flag=True, hidden=True)
def main(count: int, rounds: int, serves: bool) -> None:
    """Compare. Exits 1 where the node misses a bar."""
    if serves:
        serve_eth_tester()
        return
    commands = {
        "eth-tester": (sys.executable, __file__, "--eth-tester"),
        "foretell node": (sys.executable, "-c", GO, "node", "--port", "0", "--operators", "0"),
        "anvil": (str(ANVIL), "--port", "0"),
    }
    measured: dict[str, list[Figures]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            with server(*command, backend="pycryptodome" if name == "eth-tester" else "") as (url, process):
                measured[name].append(measure(url, process, count))
    figures = {name: Figures.median(each) for name, each in measured.items()}
    mix = ", ".join(f"{MIX[kind]}% {kind}s" for kind in MIX)
    print(f"{'':<16} {'requests/s':>12} {'CPU ms each':>12}   ({mix}; medians of {rounds} rounds)")
    for name, each in figures.items():
        print(f"{name:<16} {each.per_second:>12.0f} {each.cpu_ms:>12.3f}")
    faster = figures["foretell node"].per_second / figures["eth-tester"].per_second
    slower = figures["anvil"].per_second / figures["foretell node"].per_second
    print(f"{faster:.1f} times eth-tester; anvil is {slower:.1f} times faster")
    if faster < MIN_TIMES_ETH_TESTER or slower > MAX_TIMES_SLOWER_THAN_ANVIL:
        raise SystemExit("over a bar")


if __name__ == "__main__":
    main()
