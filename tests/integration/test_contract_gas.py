"""What each step of a settlement costs, with the shipped model and real proofs: py-evm, a transaction each.

Run with ``-s`` to see the table. The bounds are promises of docs/spec/settlement.md; they leave a little room
for a compiler's patch, and none for a regression.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi import encode
from eth_tester import EthereumTester, PyEVMBackend
from eth_typing import ChecksumAddress
from eth_utils import keccak, to_checksum_address
from hexbytes import HexBytes
from web3 import Web3

from foretell_relayer.models.folder import ModelFolder
from foretell_relayer.models.store import ModelStore
from foretell_relayer.operator import Identity, LocalOperator
from foretell_spec.bundle import Bundle
from foretell_spec.settlement import Delivery, Request
from foretell_spec.tensor import Tensor, to_felt
from tests.kit.chain import Contract
from tests.kit.compiled import ROOT, compiled
from tests.kit.world import create_address, key_of

ETHER = 10**18
CHAIN_ID = 131277322940537
"""eth-tester's."""
MODEL = ROOT / "models" / "volatility"
INPUTS = tuple(10**17 * ((i * 7) % 23 - 11) for i in range(22))
"""WAD: returns between -1.1 and 1.1 percent."""
MAX_VERIFIER_OVERHEAD = 60_000


class Encoder:
    """Only encodes calls: the part of the contract kit that needs no chain."""

    def __init__(self, abi: list[dict[str, Any]]) -> None:
        self.functions = {entry["name"]: entry for entry in abi if entry["type"] == "function"}

    def calldata(self, name: str, *args: Any) -> bytes:
        """Selector and arguments."""
        return Contract.calldata(self, name, *args)  # type: ignore[arg-type]


class Ledger:
    """Contracts on py-evm, and the gas of each transaction."""

    def __init__(self) -> None:
        self.tester = EthereumTester(PyEVMBackend())
        self.deployer, self.requester, *operators = self.tester.get_accounts()
        self.operators = operators
        self.figures: dict[str, int] = {}

    def send(self, label: str, to: str, data: bytes, *, value: int = 0, sender: str | None = None) -> Any:
        """One transaction in a block of its own; its gas is kept under the label."""
        transaction = {
            "from": sender or self.deployer,
            "to": to,
            "data": "0x" + data.hex(),
            "value": value,
            "gas": 9_000_000,
            "gas_price": 10**9,
        }
        receipt = self.tester.get_transaction_receipt(self.tester.send_transaction(transaction))
        if receipt["status"] != 1:
            raise AssertionError(f"{label} failed")
        self.figures[label] = receipt["gas_used"]
        return receipt

    def deploy(self, artifact: dict[str, Any], *args: Any) -> str:
        """Address of a new contract."""
        inputs = [entry["inputs"] for entry in artifact["abi"] if entry["type"] == "constructor"]
        types = [parameter["type"] for parameter in (inputs[0] if inputs else [])]
        data = bytes.fromhex(artifact["bytecode"].removeprefix("0x")) + encode(types, args)
        receipt = self.send(f"deploy {artifact.get('source', 'verifier')}", "", data)
        return to_checksum_address(receipt["contract_address"])

    def nonce(self) -> int:
        """Next nonce of the deployer."""
        count: int = self.tester.get_nonce(self.deployer)
        return count


@pytest.fixture(scope="module")
def operator() -> Iterator[LocalOperator]:
    store = ModelStore([MODEL])
    with LocalOperator(
        Identity(ChecksumAddress(to_checksum_address(b"\1" * 20)), key_of("alice")), store
    ) as made:
        yield made


@pytest.fixture(scope="module")
def figures(operator: LocalOperator) -> dict[str, int]:
    """Gas of every step."""
    return measure(Ledger(), ModelStore([MODEL]), operator)


class Story:
    """The contracts with a model and two operators, and the steps of a settlement."""

    def __init__(self, ledger: Ledger, folder: ModelFolder) -> None:
        self.ledger, self.folder = ledger, folder
        self.inputs = folder.manifest.quantise(INPUTS)
        self.verifier = ledger.deploy(_verifier_artifact(MODEL))
        self.models = ledger.deploy(compiled("ModelRegistry.vy"))
        self.circuit_verifier = ledger.deploy(compiled("verifiers/CircuitVerifier.vy"), self.models)
        expected = create_address(ledger.deployer, ledger.nonce() + 2)
        self.registry = ledger.deploy(compiled("OperatorRegistry.vy"), expected, ETHER, 3600)
        nowhere = "0x" + "00" * 20
        disputes = ledger.deploy(compiled("Disputes.vy"), self.registry, self.circuit_verifier, ETHER)
        self.settlement = ledger.deploy(compiled("Settlement.vy"), self.models, disputes, nowhere, 0)
        self.stories: dict[bytes, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        self.keys = dict(zip(ledger.operators, [key_of("alice"), key_of("bob")], strict=False))
        self._register()

    def _register(self) -> None:
        words = self.folder.manifest.words()
        data = _encoder("ModelRegistry.vy").calldata("register", words, self.verifier)
        self.ledger.send("register model", self.models, data)
        encoder = _encoder("OperatorRegistry.vy")
        for account, key in self.keys.items():
            data = encoder.calldata("register", key.public_key.to_checksum_address(), 10**30)
            self.ledger.send("register operator", self.registry, data, value=100 * ETHER, sender=account)

    def settle(self, label: str, function: str, *args: Any, **kw: Any) -> Any:
        """A call of Settlement."""
        data = _encoder("Settlement.vy").calldata(function, *args)
        receipt = self.ledger.send(label, self.settlement, data, **kw)
        for name, values in _events(receipt, self.settlement):
            if "request_id" in values:
                self.stories[values["request_id"]].append((name, values))
        return receipt

    def request(self, request_id: bytes) -> tuple[Any, ...]:
        """What never changes of a request."""
        return Request.from_event(*self.stories[request_id][0]).words()

    def delivery(self, request_id: bytes) -> tuple[Any, ...]:
        """What is known since its delivery."""
        return Delivery.from_events(self.stories[request_id]).words()

    def prove(self, label: str, request_id: bytes, outputs: Tensor, proof: bytes) -> None:
        """Carry a proof."""
        structs = self.request(request_id), self.delivery(request_id)
        self.settle(label, "prove", *structs, self.inputs, outputs, proof)

    def ask(self, label: str = "request") -> bytes:
        """A new request."""
        arguments = (self.folder.model_id, INPUTS, (1, False, 0, 2**64 - 1, ETHER), 1)
        self.settle(label, "request", *arguments, sender=self.ledger.requester)
        return list(self.stories)[-1]

    def sign(self, request_id: bytes, outputs: Tensor, account: str) -> bytes:
        """An operator's signature."""
        operator = to_checksum_address(account)
        unsigned = Bundle(request_id, self.folder.model_id, self.inputs, outputs, operator)
        return unsigned.signed(self.keys[account], CHAIN_ID, to_checksum_address(self.settlement)).signature

    def put(self, function: str, request_id: bytes, outputs: Tensor, account: str) -> None:
        """Deliver or challenge."""
        signature = self.sign(request_id, outputs, account)
        structs = [self.request(request_id)]
        if function == "challenge":
            structs.append(self.delivery(request_id))
        self.settle(function, function, *structs, outputs, account, signature)


def measure(ledger: Ledger, store: ModelStore, prover: LocalOperator) -> dict[str, int]:
    story = Story(ledger, next(iter(store)))
    inputs, (alice, bob) = story.inputs, story.keys
    story.settle("deposit", "deposit", ledger.requester, value=100)
    story.ask("request, first of an account")
    right = prover.infer(story.folder, inputs)
    proof = prover.prove(story.folder, inputs, right)
    wrong = (right[0] + 1,)

    request_id = story.ask()
    story.put("deliver", request_id, right, alice)
    story.prove("prove", request_id, right, proof)

    request_id = story.ask()
    signature = story.sign(request_id, right, alice)
    arguments = (story.request(request_id), inputs, right, alice, signature, proof)
    story.settle("deliver_proven", "deliver_proven", *arguments)

    request_id = story.ask()
    story.put("deliver", request_id, wrong, alice)
    story.put("challenge", request_id, right, bob)
    story.prove("prove, overturning", request_id, right, proof)

    request_id = story.ask()
    story.put("deliver", request_id, right, alice)
    ledger.tester.time_travel(ledger.tester.get_block_by_number("latest")["timestamp"] + 10**6)
    structs = story.request(request_id), story.delivery(request_id)
    story.settle("finalise", "finalise", *structs, right)
    story.settle("withdraw", "withdraw", sender=alice)

    instances = [to_felt(q) for q in (*inputs, *right)]
    bare = keccak(text="verifyProof(bytes,uint256[])")[:4] + encode(
        ["bytes", "uint256[]"], [proof, instances]
    )
    ledger.send("EZKL verifier, bare", story.verifier, bare)
    arguments = (story.folder.model_id, inputs, right, proof)
    through = _encoder("verifiers/CircuitVerifier.vy").calldata("verify", *arguments)
    ledger.send("CircuitVerifier", story.circuit_verifier, through)
    return ledger.figures


def _encoder(source: str) -> Encoder:
    return Encoder(compiled(source)["abi"])


def _events(receipt: Any, address: str) -> list[tuple[str, dict[str, Any]]]:
    """Decoded events of a contract that eth-tester returned."""
    contract = Web3().eth.contract(abi=compiled("Settlement.vy")["abi"])
    by_topic = {event().topic.removeprefix("0x"): event for event in contract.events}
    found = []
    for log in receipt["logs"]:
        if log["address"].lower() != address.lower():
            continue
        entry = {
            "blockNumber": 0,
            "blockHash": b"",
            "transactionHash": b"",
            "transactionIndex": 0,
            "address": to_checksum_address(log["address"]),
            "topics": [HexBytes(topic) for topic in log["topics"]],
            "data": HexBytes(log["data"]),
            "logIndex": 0,
        }
        event = by_topic[bytes(entry["topics"][0]).hex()]
        decoded = event().process_log(entry)
        found.append((decoded["event"], dict(decoded["args"])))
    return found


def _verifier_artifact(folder: Path) -> dict[str, Any]:
    artifact: dict[str, Any] = json.loads((folder / "verifier.json").read_text(encoding="utf-8"))
    return artifact


def test_gas__circuit_verifier__costs_little_more_than_the_bare_verifier(figures: dict[str, int]) -> None:
    for label, gas in figures.items():
        print(f"{gas:>10,}  {label}")
    overhead = figures["CircuitVerifier"] - figures["EZKL verifier, bare"]
    print(f"{overhead:>10,}  overhead of CircuitVerifier")
    assert overhead <= MAX_VERIFIER_OVERHEAD


@pytest.mark.parametrize(
    ("step", "bound"),
    [
        ("request", 110_000),
        ("deliver", 65_000),
        ("challenge", 75_000),
        ("prove", 720_000),
        ("prove, overturning", 780_000),
        ("deliver_proven", 720_000),
        ("finalise", 65_000),
        ("withdraw", 35_000),
    ],
)
def test_gas__step__is_within_its_bound(figures: dict[str, int], step: str, bound: int) -> None:
    assert figures[step] <= bound
