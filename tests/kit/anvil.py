"""A real anvil with the protocol on it, and the relayer as the process that a user starts."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import HTTPProvider, Web3

from foretell_relayer import deploy
from foretell_relayer.models import folder as folders
from foretell_relayer.models.folder import ModelFolder
from foretell_spec.bundle import Bundle
from foretell_spec.settlement import STORY, Delivery, Request
from foretell_spec.tensor import Tensor

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / "node_modules" / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"
VOLATILITY = ROOT / "models" / "volatility"
CHAIN_ID = 31337
ETHER = 10**18
BOND = 100 * ETHER
FEE = ETHER // 100
VALUE_AT_RISK = 2 * ETHER
CALLBACK_GAS = 300_000
PATIENCE = 60.0
"""Seconds after which something that should happen is said not to; the machine may be busy."""

Account.enable_unaudited_hdwallet_features()
MNEMONIC = "test test test test test test test test test test test junk"


def account(index: int) -> LocalAccount:
    """One of anvil's rich accounts."""
    made: LocalAccount = Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")
    return made


RELAYER, DEPLOYER, REQUESTER, LIAR = (account(index) for index in range(4))


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, probe: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """The probe's first true answer."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = probe()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {patience:g} s")


class Anvil:
    """An anvil process."""

    def __init__(self, *arguments: str, port: int | None = None) -> None:
        if not BINARY.exists():
            raise RuntimeError(
                f"{BINARY.relative_to(ROOT)} is missing; `make setup-dev` installs it from npm"
            )
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.w3 = Web3(HTTPProvider(self.url, request_kwargs={"timeout": 10}))
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [str(BINARY), "--port", str(self.port), "--silent", *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("anvil", self.w3.is_connected)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def rpc(self, method: str, *parameters: Any) -> Any:
        """A call of anvil's own."""
        answer = self.w3.provider.make_request(method, list(parameters))  # type: ignore[arg-type]
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def pass_time(self, seconds: int) -> None:
        """A block, so many seconds later."""
        self.rpc("evm_increaseTime", seconds)
        self.rpc("evm_mine")


@dataclass
class Stage:
    """The protocol on a chain, one model, the relayer's operator, and a contract that asks."""

    anvil: Anvil
    folder: ModelFolder
    book: deploy.AddressBook
    ask: Any
    settlement: Any
    operators: Any
    wads: tuple[int, ...] = field(default=())

    @property
    def inputs(self) -> Tensor:
        """The quantised input of every request."""
        return self.folder.manifest.quantise(self.wads)

    def request(self, **policy: Any) -> bytes:
        """Ask through the contract; returns the request id."""
        now = self.anvil.w3.eth.get_block("latest")["timestamp"]
        values = {
            "min_assurance": 1,
            "provisional": False,
            "callback_gas": CALLBACK_GAS,
            "deadline": now + 600,
            "value_at_risk": VALUE_AT_RISK,
            **policy,
        }
        call = self.ask.functions.ask_later(self.folder.model_id, self.wads, tuple(values.values()))
        deploy.transact(self.anvil.w3, REQUESTER, call, value=FEE)
        return bytes(self.ask.functions.last_id().call())

    def deliver(self, request_id: bytes, outputs: Tensor, operator: LocalAccount) -> None:
        """Deliver what somebody signs."""
        from eth_keys import keys

        bundle = Bundle(request_id, self.folder.model_id, self.inputs, outputs, operator.address)
        signed = bundle.signed(keys.PrivateKey(operator.key), CHAIN_ID, self.book.settlement)
        request, _ = self.structs(request_id)
        call = self.settlement.functions.deliver(request.words(), outputs, operator.address, signed.signature)
        deploy.transact(self.anvil.w3, operator, call)

    def view(self, request_id: bytes) -> dict[str, Any]:
        """What Settlement and its events tell of a request."""
        request, delivery = self.structs(request_id)
        state_of = next(entry for entry in self.settlement.abi if entry.get("name") == "state_of")
        names = [part["name"] for part in state_of["outputs"][0]["components"]]
        state = dict(zip(names, self.settlement.functions.state_of(request_id).call(), strict=True))
        assert state["commitment"] in (0, delivery.commitment)
        return {**asdict(request), **asdict(delivery), **state}

    def structs(self, request_id: bytes) -> tuple[Request, Delivery]:
        """What Settlement takes to move a request on."""
        story = [
            (log["blockNumber"], log["logIndex"], log["event"], log["args"])
            for name in STORY
            for log in self.settlement.events[name]().get_logs(
                from_block=0, argument_filters={"request_id": request_id}
            )
        ]
        events = [(name, args) for _, _, name, args in sorted(story, key=lambda entry: entry[:2])]
        return Request.from_event(*events[0]), Delivery.from_events(events)

    def status(self, request_id: bytes) -> int:
        """Status code as it is stored: DELIVERED until the operator is paid, though final by time."""
        return int(self.settlement.functions.state_of(request_id).call()[0])

    def wait_status(self, request_id: bytes, status: int) -> dict[str, Any]:
        """Settlement's record once the request has this status."""
        wait_for(f"status {status}", lambda: self.status(request_id) == status)
        return self.view(request_id)

    def answer(self, request_id: bytes) -> tuple[int, int, int, list[int]]:
        """What the asking contract stored: state, assurance, compensation, outputs."""
        found: tuple[int, int, int, list[int]] = self.ask.functions.answer_of(request_id).call()
        return found

    def events(self, name: str) -> list[Any]:
        """All events of Settlement of this name."""
        return list(self.settlement.events[name]().get_logs(from_block=0))


def set_stage(anvil: Anvil) -> Stage:
    """Deploy everything on a fresh chain."""
    w3 = anvil.w3
    folder = folders.load_circuit(VOLATILITY)
    book = deploy.deploy_protocol(w3, DEPLOYER)
    deploy.register_model(w3, DEPLOYER, book, folder)
    for operator in (RELAYER, LIAR):
        deploy.register_operator(w3, operator, book, bond=BOND)
    ask = deploy.deploy(w3, REQUESTER, "Ask", book.settlement)
    wads = tuple(int(value * 10**6) * 10**12 for value in folder.samples()[0])
    return Stage(
        anvil=anvil,
        folder=folder,
        book=book,
        ask=deploy.contract(w3, "Ask", ask),
        settlement=deploy.contract(w3, "Settlement", book.settlement),
        operators=deploy.contract(w3, "OperatorRegistry", book.operator_registry),
        wads=wads,
    )


class Relay:
    """``foretell relay`` in a process of its own."""

    def __init__(self, *arguments: str, log: Path, env: dict[str, str] | None = None) -> None:
        self.log = log
        command = [
            sys.executable,
            "-c",
            "from foretell_cli import main; main()",
            "--log-format",
            "json",
            "relay",
        ]
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, **(env or {})},
            )

    def text(self) -> str:
        """All that it said."""
        return self.log.read_text()

    def wait_text(self, text: str, times: int = 1) -> None:
        """Wait until it has said something."""

        def said() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"the relayer ended with {self.process.returncode}: {self.text()}")
            return self.text().count(text) >= times

        try:
            wait_for(text, said)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}") from None

    def wait_end(self) -> int:
        """Wait until it ends by itself; returns its exit code."""
        return self.process.wait(PATIENCE)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def relaying(
    stage: Stage, folder: Path, *arguments: str, key: Sequence[str] = ("--dev-key",)
) -> Iterator[Relay]:
    """A relayer for the stage, ended with the block if it still runs."""
    relay = Relay(
        "--rpc", stage.anvil.url, "--settlement", stage.book.settlement, "--model", str(VOLATILITY),
        "--journal", str(folder / "relay.sqlite3"), "--poll", "0.1", *key, *arguments,
        log=folder / "relay.log",
    )  # fmt: skip
    try:
        yield relay
    finally:
        if relay.process.poll() is None:
            relay.process.kill()
            relay.process.wait()
