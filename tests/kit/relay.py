"""A chain, a model and a context in memory, for tests of the relayer's parts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_typing import ChecksumAddress
from eth_utils import keccak, to_checksum_address

from foretell_relayer.chain import Event, Head, Standing, TransactionReceipt
from foretell_relayer.config import load_settings
from foretell_relayer.context import Context
from foretell_relayer.core import Status, View
from foretell_relayer.errors import RpcRefused
from foretell_relayer.metrics import Metrics
from foretell_relayer.operate.health import Monitor
from foretell_relayer.records import BlockRef, Found, Identity
from foretell_relayer.signers import LocalSigner
from foretell_relayer.store import Journal
from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.assurance import Assurance
from foretell_spec.divergence import DeterminismClass
from foretell_spec.manifest import Manifest
from foretell_spec.settlement import Delivery, Policy, Request
from foretell_spec.tensor import WAD, Tensor, tensor_hash
from foretell_spec.terms import Terms

SETTLEMENT = to_checksum_address("0x" + "5e" * 20)
OPERATOR = to_checksum_address("0x" + "0a" * 20)
OTHER = to_checksum_address("0x" + "0b" * 20)
REQUESTER = to_checksum_address("0x" + "0c" * 20)
CHAIN_ID = 31337
START = 1_700_000_000
ETHER = 10**18
MANIFEST = Manifest(
    determinism=DeterminismClass.CIRCUIT,
    metadata_hash=b"\1" * 32,
    input_size=2,
    output_size=1,
    input_scale=7,
    output_scale=7,
    input_min=-1000,
    input_max=1000,
    tolerance=10**16,
    verifier_code_hash=b"\2" * 32,
    challenge_window=3600,
    proof_window=1800,
)
MODEL_ID = MANIFEST.model_id
REQUEST = Request(
    requester=REQUESTER,
    nonce=0,
    model_id=MODEL_ID,
    input_hash=tensor_hash((3, -4)),
    terms=Terms.of(MANIFEST).word,
    policy=Policy(1, False, 0, START + 600, ETHER),
    fee=7,
    created_at=START,
)
DELIVERY = Delivery(operator=OTHER, output_hash=b"\4" * 32, delivered_at=START)


def request_id(number: int) -> bytes:
    """The id of a test's n-th request."""
    return keccak(text=f"request {number}")


def make_found(number: int = 0, **overrides: Any) -> Found:
    """A request that an event told of."""
    values: dict[str, Any] = {
        "request_id": request_id(number),
        "model_id": MODEL_ID,
        "requester": REQUESTER,
        "inputs": (3, -4),
        "min_assurance": Assurance.SIGNED,
        "provisional": False,
        "from_receipt": False,
        "deadline": START + 600,
        "value_at_risk": ETHER,
        "fee": 7,
        "block_number": 1,
    }
    return Found(**{**values, **overrides})


def wads(quantised: Tensor) -> list[int]:
    """WAD inputs that are quantised to these."""
    return [q * WAD >> MANIFEST.input_scale for q in quantised]


def requested(found: Found, block: BlockRef) -> Event:
    """The event of a request."""
    policy = {
        "min_assurance": int(found.min_assurance),
        "provisional": found.provisional,
        "callback_gas": 0,
        "deadline": found.deadline,
        "value_at_risk": found.value_at_risk,
    }
    args = {
        "request_id": found.request_id,
        "model_id": found.model_id,
        "requester": found.requester,
        "nonce": 0,
        "inputs": wads(found.inputs),
        "terms": Terms.of(MANIFEST).word,
        "created_at": START,
        "policy": policy,
        "fee": found.fee,
    }
    return Event("Requested", block, args)


def a_view(status: Status, **overrides: Any) -> View:
    """What Settlement says, all zero but the status."""
    values: dict[str, Any] = {
        "operator": ZERO_ADDRESS,
        "output_hash": b"\0" * 32,
        "delivered_at": 0,
        "challenger": ZERO_ADDRESS,
        "disputed_at": 0,
    }
    return View(status=status, **{**values, **overrides})


@dataclass
class FakeChain:
    """A node: blocks, events, views, a pool and receipts. ``fail`` answers the next calls by name."""

    settlement: ChecksumAddress = SETTLEMENT
    id: int = CHAIN_ID
    blocks: list[BlockRef] = field(default_factory=list)
    logs: list[Event] = field(default_factory=list)
    views: dict[bytes, View] = field(default_factory=dict)
    used: int = 0
    base_fee: int = 10
    gas: int = 100_000
    wealth: int = 10**30
    bond: int = 100 * ETHER
    credit: int = 0
    sent: list[bytes] = field(default_factory=list)
    pool: set[bytes] = field(default_factory=set)
    receipts: dict[bytes, TransactionReceipt] = field(default_factory=dict)
    fail: dict[str, list[Exception]] = field(default_factory=dict)
    most_blocks: int = 1 << 30
    branch: str = ""
    asked: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mine()

    def mine(self, count: int = 1) -> BlockRef:
        """More blocks on the branch that is the chain now."""
        for _ in range(count):
            number = len(self.blocks)
            self.blocks.append(BlockRef(number, keccak(text=f"block {number}{self.branch}")))
        return self.blocks[-1]

    def reorganise(self, back_to: int, count: int, branch: str) -> None:
        """Replace the blocks above a number, and forget their events."""
        del self.blocks[back_to + 1 :]
        self.logs = [event for event in self.logs if event.block.number <= back_to]
        self.branch = branch
        self.mine(count)

    def _check(self, name: str) -> None:
        if self.fail.get(name):
            raise self.fail[name].pop(0)

    def health(self) -> dict[str, bool]:
        return {}

    async def chain_id(self) -> int:
        self._check("chain_id")
        return self.id

    async def head(self) -> Head:
        self._check("head")
        ref = self.blocks[-1]
        return Head(ref, START + 12 * ref.number, self.base_fee)

    async def block(self, number: int) -> BlockRef | None:
        self._check("block")
        return self.blocks[number] if 0 <= number < len(self.blocks) else None

    async def events(self, first: int, last: int) -> list[Event]:
        self._check("events")
        self.asked.append((first, last))
        if last - first + 1 > self.most_blocks:
            raise RpcRefused(f"query exceeds {self.most_blocks} blocks")
        return [event for event in self.logs if first <= event.block.number <= last]

    async def view(self, request_id: bytes, since: int, block: int | None = None) -> View:
        self._check("view")
        return self.views.get(request_id, a_view(Status.NONE))

    async def structs(self, request_id: bytes, since: int) -> tuple[Request, Delivery]:
        self._check("structs")
        return REQUEST, DELIVERY

    async def free_bond(self, operator: ChecksumAddress) -> int:
        return self.bond

    async def signer_of(self, operator: ChecksumAddress) -> ChecksumAddress:
        return operator

    async def dispute_bond(self) -> int:
        return ETHER

    async def standing(self, operator: ChecksumAddress) -> Standing:
        return Standing(self.bond, 0, self.credit)

    async def is_open(self, model_id: bytes) -> bool:
        return True

    def calldata(self, function: str, arguments: Sequence[Any]) -> bytes:
        return function.encode()

    async def nonce(self, sender: ChecksumAddress) -> int:
        return self.used

    async def balance(self, account: ChecksumAddress) -> int:
        return self.wealth

    async def trial(self, sender: ChecksumAddress, data: bytes, gas: int) -> None:
        self._check("simulate")

    async def estimate(self, sender: ChecksumAddress, data: bytes) -> int:
        self._check("simulate")
        return self.gas

    async def send(self, raw: bytes) -> None:
        self.sent.append(raw)
        self._check("send")
        self.pool.add(keccak(raw))

    def include(self, tx_hash: bytes, *, success: bool = True) -> None:
        """Put a transaction into a new block."""
        self.receipts[tx_hash] = TransactionReceipt(self.mine(), success, 21_000)
        self.used += 1

    async def receipt(self, tx_hash: bytes) -> TransactionReceipt | None:
        self._check("receipt")
        return self.receipts.get(tx_hash)

    async def is_known(self, tx_hash: bytes) -> bool:
        return tx_hash in self.pool or tx_hash in self.receipts


@dataclass
class FakeModels:
    """A model that adds up; ``fail`` raises the next errors."""

    fail: list[Exception] = field(default_factory=list)

    def manifests(self) -> dict[bytes, Manifest]:
        return {MODEL_ID: MANIFEST}

    def infer(self, model_id: bytes, inputs: Tensor) -> Tensor:
        if self.fail:
            raise self.fail.pop(0)
        return (sum(inputs),)

    def prove(self, model_id: bytes, inputs: Tensor, outputs: Tensor) -> bytes:
        if self.fail:
            raise self.fail.pop(0)
        return b"proof"


def make_context(folder: Path, chain: FakeChain | None = None, **settings: Any) -> Context:
    """A relayer's parts around a fake chain, with a journal of its own."""
    chain = chain or FakeChain()
    signer = LocalSigner(keccak(text="key"))
    identity = Identity(CHAIN_ID, chain.blocks[0].hash, SETTLEMENT, OPERATOR)
    journal = Journal.open(folder / "journal.sqlite3")
    journal.take()
    journal.pin(identity)
    return Context(
        settings=load_settings(**{"dev_key": True, "poll": 0.01, **settings}),
        identity=identity,
        chain=chain,
        journal=journal,
        models=FakeModels(),
        signer=signer,
        dispute_bond=ETHER,
        metrics=Metrics(),
        monitor=Monitor(poll=0.01),
    )


def with_view(view: View, **changes: Any) -> View:
    """A copy of a view with changes."""
    return replace(view, **changes)
