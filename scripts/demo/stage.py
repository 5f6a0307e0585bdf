"""The stage: a development chain with a JSON-RPC door, honest Olive, lying Mallory, and a relayer.

Everything is what a user gets: the chain is the product's, Olive's answers and proofs are real, and the
relayer is the command ``foretell relay`` in a process of its own, which knows the chain by JSON-RPC alone.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import rlp
import uvicorn
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_typing import ChecksumAddress, HexStr
from eth_utils.abi import event_abi_to_log_topic
from hexbytes import HexBytes
from web3.contract import Contract
from web3.contract.contract import ContractConstructor, ContractFunction
from web3.logs import DISCARD
from web3.types import EventData, TxReceipt, Wei

from foretell_cli.devnet import Devnet, DevOperator, RegisteredModel, dev_key
from foretell_contracts import load
from foretell_evm.config import ChainConfig
from foretell_evm.full_node import FullNode
from foretell_evm.rpc.http import bind, make_app
from foretell_relayer.models.proofs import ProofCache
from foretell_relayer.models.store import ModelStore
from foretell_relayer.operator import Identity, LocalOperator
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import Bundle
from foretell_spec.operator import InferenceJob
from foretell_spec.request import precompile_request_id
from foretell_spec.tensor import Tensor, tensor_hash

ETHER: Final = 10**18
BOND: Final = 50 * ETHER
SWAP_GAS: Final = 3_000_000
RELAY_START: Final = 30.0
STEP_LIMIT: Final = 90.0
READY: Final = b"Relaying."
PASSWORD: Final = "the demo's own chain"  # noqa: S105 - opens a key that anybody can derive

Lie = Callable[[Tensor], Tensor]


class StageError(Exception):
    """The story cannot go on; the message says why and what to do."""


class Liar:
    """An operator that runs the model, and then signs something else. It cannot prove that."""

    def __init__(self, identity: Identity, honest: LocalOperator, lie: Lie) -> None:
        self._identity, self._honest, self._lie = identity, honest, lie

    @property
    def address(self) -> ChecksumAddress:
        """The bonded account."""
        return self._identity.address

    def answer(self, job: InferenceJob) -> Bundle:
        """Sign a lie.

        Raises:
            StageError: a proof is asked for.
        """
        if job.min_assurance >= Assurance.PROVEN:
            raise StageError("nobody can prove a lie")
        truth = self._honest.answer(job)
        told = replace(truth, outputs=self._lie(truth.outputs), operator=self.address, signature=b"")
        return told.signed(self._identity.key, job.chain_id, job.verifying_contract)


class Stage:
    """Chain, accounts, operators and relayer of one story."""

    def __init__(self, model: Path, folder: Path) -> None:
        """Start the chain and register the model.

        Args:
            model: the model's folder.
            folder: for the relayer's key, journal and log.
        """
        self._exits = ExitStack()
        self._folder = folder
        config = ChainConfig(genesis_time=int(time.time()))
        try:
            self.devnet = self._exits.enter_context(Devnet(config))
            self.olive = self.devnet.add_operator(dev_key("olive"), bond=BOND)
            self.model: RegisteredModel = self.devnet.register_model(model)
            self.node = FullNode(self.devnet.chain.config)
            self.url = self._open_door()
        except BaseException:
            self._exits.close()
            raise

    def _open_door(self) -> str:
        """Serve JSON-RPC on a free port of the loopback interface, in a thread; its URL."""
        listener = self._exits.enter_context(bind("127.0.0.1", 0))
        config = uvicorn.Config(
            make_app(self.devnet.chain), log_level="error", access_log=False, lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="door", daemon=True)
        thread.start()

        def close() -> None:
            server.should_exit = True
            thread.join(5)

        self._exits.callback(close)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    # ------------------------------------------------------------------------------------------- people

    def account(self, index: int) -> LocalAccount:
        """One of the chain's funded accounts."""
        account: LocalAccount = Account.from_key(self.devnet.chain.accounts[index].key.to_bytes())
        return account

    def add_mallory(self, lie: Lie) -> DevOperator:
        """Bond an operator that lies."""

        def make(identity: Identity, store: ModelStore, proofs: ProofCache) -> Liar:
            honest = LocalOperator(identity, store, proofs=proofs)
            self._exits.callback(honest.close)
            return Liar(identity, honest, lie)

        return self.devnet.add_operator(dev_key("mallory"), bond=BOND, make=make)

    def drawn(self, inputs: list[int]) -> ChecksumAddress:
        """The operator that the pool asks first for these WAD inputs."""
        quantised = self.model.manifest.quantise(tuple(inputs))
        request = precompile_request_id(
            self.devnet.chain.config.chain_id, self.model.model_id, tensor_hash(quantised)
        )
        return self.devnet.chain.pool.drawn(request)[0]

    def start_relayer(self) -> None:
        """Start ``foretell relay`` for Olive, and wait until it watches.

        Raises:
            StageError: it stopped, or does not come up.
        """
        key = self._folder / "olive.json"
        key.write_text(json.dumps(Account.encrypt(self.olive.account.key, PASSWORD, "pbkdf2", 1000)))
        password = self._folder / "password.txt"
        password.write_text(PASSWORD)
        password.chmod(0o600)
        log = self._folder / "relay.log"
        command = [
            sys.executable,
            "-c",
            "from foretell_cli import main; main()",
            "--log-format",
            "json",
            "relay",
        ]
        options: dict[str, Any] = {
            "--rpc": self.url,
            "--operator": self.olive.address,
            "--keystore": key,
            "--password-file": password,
            "--model": self.model.folder.path,
            "--journal": self._folder / "relay.sqlite3",
            "--poll": 0.2,
        }
        arguments = [str(part) for option in options.items() for part in option] + ["--prove-all"]
        with log.open("wb") as output:
            relay = subprocess.Popen(
                [*command, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ
            )
        self._exits.callback(_stop, relay)
        started = time.monotonic()
        while READY not in log.read_bytes():
            if relay.poll() is not None or time.monotonic() > started + RELAY_START:
                raise StageError(f"the relayer did not start; its log is {log}:\n{log.read_text()[-600:]}")
            time.sleep(0.05)

    # ------------------------------------------------------------------------------------- transactions

    def deploy(self, name: str, deployer: LocalAccount, *arguments: Any) -> Contract:
        """Deploy a contract of the project's."""
        artifact, eth = load(name), self.devnet.w3.eth
        factory = eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        receipt = self.devnet.transact(deployer, factory.constructor(*arguments))
        address = receipt["contractAddress"]
        if address is None:
            raise StageError(f"{name} was not created")
        return eth.contract(address, abi=artifact.abi)

    def transact(
        self, account: LocalAccount, call: ContractFunction | ContractConstructor, wei: int = 0
    ) -> TxReceipt:
        """Send a call and wait for its block."""
        return self.devnet.transact(account, call, wei)

    def send(self, account: LocalAccount, call: ContractFunction, wei: int = 0) -> bytes:
        """Send a call without estimating its gas, which would ask the model already; do not wait."""
        eth = self.devnet.w3.eth
        transaction = call.build_transaction(
            {
                "from": account.address,
                "value": Wei(wei),
                "gas": SWAP_GAS,
                "maxFeePerGas": Wei(2 * eth.gas_price),
                "maxPriorityFeePerGas": Wei(0),
                "nonce": eth.get_transaction_count(account.address, "pending"),
            }
        )
        signed = account.sign_transaction(transaction)  # type: ignore[arg-type]
        return bytes(eth.send_raw_transaction(signed.raw_transaction))

    def receipt(self, transaction: bytes) -> TxReceipt:
        """Wait until a transaction is in a block.

        Raises:
            StageError: it reverted or was evicted.
        """
        eth, sent = self.devnet.w3.eth, HexBytes(transaction)
        receipt = eth.wait_for_transaction_receipt(sent, timeout=STEP_LIMIT, poll_latency=0.01)
        if receipt["status"] != 1:
            raise StageError(f"transaction 0x{transaction.hex()} reverted")
        return receipt

    def plain_transfer(self) -> float:
        """Send one ether from a bystander; how many seconds until it is in a block."""
        started = time.monotonic()
        self.devnet.fund(self.account(9).address, ETHER)
        return time.monotonic() - started

    # ------------------------------------------------------------------------------------ what happened

    def bundle_of(self, receipt: TxReceipt) -> Bundle:
        """The bundle that leads the answer which the transaction's block used last."""
        return self.devnet.chain.history.block(receipt["blockNumber"]).sidecar.answers[-1].lead

    def opened(self, receipt: TxReceipt) -> tuple[EventData, ...]:
        """Settlement's event for the result that a transaction insured."""
        return tuple(self.devnet.settlement.events.ReceiptSettled().process_receipt(receipt, errors=DISCARD))

    def name(self, address: str) -> str:
        """Who an account is in the story."""
        return "Olive" if address == self.olive.address else "the contract"

    def follow(self, request_id: bytes, from_block: int) -> Iterator[tuple[EventData, int]]:
        """Settlement's events of a request, with their transactions' gas, until it has told the contract.

        Raises:
            StageError: it does not come in time.
        """
        seen: set[tuple[int, int]] = set()
        deadline = time.monotonic() + STEP_LIMIT
        final = False
        while time.monotonic() < deadline and not final:
            for event in self._events(request_id, from_block):
                place = (event["blockNumber"], event["logIndex"])
                if place in seen:
                    continue
                seen.add(place)
                gas = self.devnet.w3.eth.get_transaction_receipt(event["transactionHash"])["gasUsed"]
                yield event, gas
                # In the same transaction Settlement pays, slashes and tells the contract.
                final = final or event["event"] == "Finalised"
            time.sleep(0.02)
        if not final:
            raise StageError(f"not settled within {STEP_LIMIT:.0f} s; see {self._folder / 'relay.log'}")

    def _events(self, request_id: bytes, from_block: int) -> list[EventData]:
        settlement = self.devnet.settlement
        logs = self.devnet.w3.eth.get_logs(
            {
                "address": settlement.address,
                "fromBlock": from_block,
                "topics": [None, HexStr("0x" + request_id.hex())],
            }
        )
        names = {event_abi_to_log_topic(abi): abi["name"] for abi in settlement.abi if abi["type"] == "event"}
        return [settlement.events[names[bytes(log["topics"][0])]]().process_log(log) for log in logs]

    def follow_chain(self) -> int:
        """Let a full node without any model import every new block; how many that were."""
        first, last = self.node.head.number + 1, self.devnet.chain.head.number
        for record in self.devnet.chain.history.blocks(first, last):
            self.node.import_block(rlp.encode(record.block), record.sidecar, record.block.hash)
        return last - first + 1


def _stop(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
