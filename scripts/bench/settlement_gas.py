"""Gas of the work that peers are compared by, on anvil; writes docs/gas.md.

An account calls a consumer with four numbers, an operator delivers one, and the callback writes one slot of
the consumer. Figures are ``gasUsed`` of receipts, one transaction a block, from the second round on; the
consumer has paid in before, as its peers' subscribers and clients have. A batch is a request and a delivery
of so many items.

Bars: 150,000 gas for one, 60,000 an item for a hundred.

Run: ``python -m scripts.bench.settlement_gas``
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey
from eth_utils import keccak
from web3.contract import Contract
from web3.types import TxReceipt

from foretell_relayer.deploy import create_address
from foretell_spec.bundle import Bundle, batch_digest, bundle_struct_hash, sign_digest
from foretell_spec.request import NO_SEED
from foretell_spec.settlement import Delivery, Request, inputs_of
from foretell_spec.tensor import WAD, Tensor, tensor_hash
from tests.kit.anvil import CHAIN_ID, DEPLOYER, ETHER, RELAYER, REQUESTER, Anvil
from tests.kit.compiled import compiled
from tests.kit.manifest import CHALLENGE_WINDOW, adding_manifest

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "gas.md"
FEE: Final = 10**15
GAS: Final = 28_000_000
NOWHERE: Final = "0x" + "00" * 20
BAR: Final = 150_000
BATCH_BAR: Final = 60_000

WORK: Final = (
    "Written by `python -m scripts.bench.settlement_gas`: anvil, Prague, one transaction a block.",
    "An account calls a consumer with four numbers, an operator delivers one, the callback writes one slot.",
    "The result is signed and insured, and reads `FINAL` once nobody has challenged it in time.",
    "Paying the operator comes after that, and nobody waits for it.",
    "Figures are for each request, once the slots of consumer, operator and credit are in use.",
)
OTHERS: Final = (
    "## Beside others",
    "",
    "The same work by the same method in November 2026, with the contracts as published.",
    "A batch is of 100 requests, for Chainlink Functions of 10: more do not fit a block well.",
    (
        "The protections are escrow, refund, replay protection, an isolated callback with a gas limit that "
        "is checked, a result bound to its model, and a flag that says when it is final."
    ),
)

# name, steady total, per item of the largest batch measured, what of the protections below it lacks
PEERS: Final = (
    ("Airnode RRP V0, bare consumer", 106_764, "54,412", "escrow, refund, gas limit, finality"),
    ("Chainlink Operator with LINK escrow", 171_046, "96,596", "gas limit, model binding, finality"),
    ("Infernet delegatee, unpaid", 206_045, "", "escrow, isolation, gas limit, finality"),
    ("Boundless, open path", 250_703, "", "reserved payment"),
    ("Galadriel function call", 256_159, "203,635", "all but replay protection"),
    ("Infernet callback, unpaid", 319_962, "267,547", "escrow, isolation, gas limit, finality"),
    ("Boundless, with lock", 324_441, "237,810", ""),
    ("ORA OAO, without its core", 349_256, "260,217", "refund, replay protection, isolation, gas check"),
    ("UMA OOv3, with settlement", 366_212, "256,914", "isolation, gas limit, model binding"),
    ("Chainlink Functions 1.3.0, four nodes", 367_379, "166,440", "model binding, finality"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with its quantised inputs."""

    request: Request
    request_id: bytes
    inputs: Tensor

    @property
    def outputs(self) -> Tensor:
        """The circuit adds up."""
        return (sum(self.inputs),)


class Bench:
    """The protocol, one model of four inputs, one operator and one consumer on a fresh anvil."""

    def __init__(self, anvil: Anvil) -> None:
        self._anvil, self._w3 = anvil, anvil.w3
        ezkl, models = self._deploy("mocks/SumVerifier.vy"), self._deploy("ModelRegistry.vy")
        verifier = self._deploy("verifiers/CircuitVerifier.vy", models.address)
        nonce = self._w3.eth.get_transaction_count(DEPLOYER.address)
        place = create_address(DEPLOYER.address, nonce + 2)
        operators = self._deploy("OperatorRegistry.vy", place, ETHER, 7 * 24 * 3600)
        disputes = self._deploy("Disputes.vy", operators.address, verifier.address, ETHER // 2)
        self.settlement = self._deploy("Settlement.vy", models.address, disputes.address, NOWHERE, 600)
        code_hash = keccak(hexstr=compiled("mocks/SumVerifier.vy")["runtime"])
        manifest = adding_manifest(verifier_code_hash=code_hash, input_size=4)
        self._model_id = manifest.model_id
        self._send(DEPLOYER, models, "register", manifest.words(), ezkl.address)
        self._send(RELAYER, operators, "register", RELAYER.address, 2**255, value=1_000 * ETHER)
        self._consumer = self._deploy(
            "mocks/BenchConsumer.vy", self.settlement.address, manifest.model_id, FEE
        )
        self._send(DEPLOYER, self.settlement, "deposit", self._consumer.address, value=10 * ETHER)

    def one(self) -> tuple[int, int, int]:
        """Gas of a request, its delivery, and the payment."""
        asked, receipt = self._ask("ask", [WAD + 7, 2 * WAD, 3 * WAD, 4 * WAD])
        (only,) = asked
        bundle = Bundle(only.request_id, self._model_id, only.inputs, only.outputs, RELAYER.address)
        signature = bundle.signed(self._key, CHAIN_ID, self.settlement.address).signature
        words = only.request.words()
        delivered = self._send(
            RELAYER, self.settlement, "deliver", words, only.outputs, RELAYER.address, signature
        )
        delivery = self._delivery(only.outputs, delivered)
        self._anvil.pass_time(CHALLENGE_WINDOW)
        paid = self._send(RELAYER, self.settlement, "finalise", words, delivery.words(), only.outputs)
        return receipt["gasUsed"], delivered["gasUsed"], paid["gasUsed"]

    def many(self, count: int) -> tuple[int, int, int]:
        """The same for each item of a batch."""
        values = [number for i in range(count) for number in ((i + 1) * WAD, 2 * WAD, 3 * WAD, 4 * WAD)]
        asked, receipt = self._ask("ask_many", values, count)
        outputs = [each.outputs[0] for each in asked]
        hashes = [tensor_hash(each.inputs) for each in asked]
        structs = [self._struct_hash(each) for each in asked]
        signature = sign_digest(self._key, batch_digest(CHAIN_ID, self.settlement.address, structs))
        first = asked[0].request.words()
        delivered = self._send(
            RELAYER, self.settlement, "deliver_many", first, hashes, outputs, RELAYER.address, signature
        )
        delivery = self._delivery((), delivered).words()
        self._anvil.pass_time(CHALLENGE_WINDOW)
        paid = self._send(RELAYER, self.settlement, "finalise_many", first, hashes, delivery, outputs)
        receipts = (receipt, delivered, paid)
        return tuple(each["gasUsed"] // count for each in receipts)  # type: ignore[return-value]

    def _struct_hash(self, asked: Asked) -> bytes:
        hashes = tensor_hash(asked.inputs), tensor_hash(asked.outputs)
        return bundle_struct_hash(asked.request_id, self._model_id, *hashes, NO_SEED, RELAYER.address)

    def _ask(self, function: str, *arguments: Any) -> tuple[list[Asked], TxReceipt]:
        receipt = self._send(REQUESTER, self._consumer, function, *arguments)
        event = self.settlement.events.Requested()
        logs = [log for log in receipt["logs"] if log["address"] == self.settlement.address]
        found = [event.process_log(log)["args"] for log in logs]
        asked = [
            Asked(Request.from_event("Requested", args), bytes(args["request_id"]), inputs_of(args))
            for args in found
        ]
        return asked, receipt

    def _delivery(self, outputs: Tensor, receipt: TxReceipt) -> Delivery:
        """What the consumer had no say in: a callback that failed would be cheaper than one that worked."""
        failed = self.settlement.events.CallbackFailed().topic
        if any("0x" + log["topics"][0].hex().removeprefix("0x") == failed for log in receipt["logs"]):
            raise RuntimeError("a callback failed")
        at = self._w3.eth.get_block(receipt["blockNumber"])["timestamp"]
        return Delivery(RELAYER.address, tensor_hash(outputs), at)

    @property
    def _key(self) -> PrivateKey:
        return PrivateKey(RELAYER.key)

    def _deploy(self, source: str, *arguments: Any) -> Contract:
        artifact = compiled(source)
        factory = self._w3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
        receipt = self._transact(DEPLOYER, None, factory.constructor(*arguments).data_in_transaction, 0)
        address = receipt["contractAddress"]
        if address is None:
            raise RuntimeError(f"{source} was not created")
        return self._w3.eth.contract(address, abi=artifact["abi"])

    def _send(
        self, account: LocalAccount, to: Contract, function: str, *arguments: Any, value: int = 0
    ) -> TxReceipt:
        return self._transact(account, to.address, to.encode_abi(function, list(arguments)), value)

    def _transact(self, account: LocalAccount, to: str | None, data: Any, value: int) -> TxReceipt:
        nonce = self._w3.eth.get_transaction_count(account.address)
        transaction = {"nonce": nonce, "chainId": CHAIN_ID, "value": value, "data": data, "gas": GAS}
        transaction |= {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1} | ({"to": to} if to else {})
        raw = account.sign_transaction(transaction).raw_transaction
        sent = self._w3.eth.send_raw_transaction(raw)
        receipt = self._w3.eth.wait_for_transaction_receipt(sent, poll_latency=0.01)
        if receipt["status"] != 1:
            raise RuntimeError("a transaction reverted")
        return receipt


def measure() -> dict[int, tuple[int, int, int]]:
    """Request, delivery and payment by batch size, after a first round that warms the slots up."""
    anvil = Anvil("--hardfork", "prague")
    anvil.start()
    try:
        bench = Bench(anvil)
        return {
            1: _second(bench.one() for _ in range(2)),
            10: _second(bench.many(10) for _ in range(2)),
            100: _second(bench.many(100) for _ in range(2)),
        }
    finally:
        anvil.stop()


def _second(rounds: Iterable[tuple[int, int, int]]) -> tuple[int, int, int]:
    _, second = rounds
    return second


def page(figures: dict[int, tuple[int, int, int]]) -> str:
    """The text of docs/gas.md."""
    rows = [
        (str(count) if count > 1 else "one request", request, delivery, request + delivery, payment)
        for count, (request, delivery, payment) in figures.items()
    ]
    ours = figures[1][0] + figures[1][1]
    hundred = f"{figures[100][0] + figures[100][1]:,}"
    peers = [*PEERS, ("**Foretell**", ours, hundred, "")]
    peers.sort(key=lambda peer: peer[1])
    ours_table = _table(("batch", "request", "delivery", "**both**", "payment"), rows)
    peers_table = _table(("protocol", "one", "batch", "lacks"), peers)
    return "\n".join(["# Gas", "", *WORK, "", *ours_table, "", *OTHERS, "", *peers_table, ""])


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        cells = [f"{cell:,}" if isinstance(cell, int) else cell for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> int:
    """Measure, write the page, and compare with the bars."""
    figures = measure()
    PAGE.write_text(page(figures), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))
    one, hundred = (sum(figures[count][:2]) for count in (1, 100))
    return 0 if one <= BAR and hundred <= BATCH_BAR else 1


if __name__ == "__main__":
    sys.exit(main())
