"""What the journal holds, as values."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from eth_typing import ChecksumAddress

from foretell_relayer.core import Facts
from foretell_spec.assurance import Assurance
from foretell_spec.tensor import Tensor

DECIDE: Final = "decide"
"""The queue of requests whose next step is to be found; the other queues are named like their steps."""


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block by number and hash."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """What a journal belongs to, for good."""

    chain_id: int
    genesis: bytes
    settlement: ChecksumAddress
    operator: ChecksumAddress

    def to_values(self) -> dict[str, str]:
        """Names and values as the journal stores them."""
        return {
            "chain_id": str(self.chain_id),
            "genesis": "0x" + self.genesis.hex(),
            "settlement": self.settlement,
            "operator": self.operator,
        }


@dataclass(frozen=True, slots=True)
class Found:
    """A request as its event tells of it. ``inputs`` are quantised; ``value_at_risk`` and ``fee`` are in
    wei.
    """

    request_id: bytes
    model_id: bytes
    requester: ChecksumAddress
    inputs: Tensor
    min_assurance: Assurance
    provisional: bool
    from_receipt: bool
    deadline: int
    value_at_risk: int
    fee: int
    block_number: int

    def facts(self, challenge_window: int, proof_window: int) -> Facts:
        """What decisions depend on; the windows, in seconds, are the model's."""
        return Facts(
            min_assurance=self.min_assurance,
            provisional=self.provisional,
            from_receipt=self.from_receipt,
            deadline=self.deadline,
            value_at_risk=self.value_at_risk,
            challenge_window=challenge_window,
            proof_window=proof_window,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A request with what we did for it.

    ``step`` is the queue in which it stands, ``why`` the last decision's reason, ``wake_at`` the chain time
    at which to decide again. ``failures`` counts failed steps in a row; the other two count those of a
    model run and a proof.
    """

    found: Found
    step: str
    why: str
    wake_at: int
    failures: int
    infer_failures: int
    prove_failures: int
    outputs: Tensor | None
    proof: bytes | None
    outcome: str | None

    @property
    def request_id(self) -> bytes:
        """The request's id."""
        return self.found.request_id

    @property
    def label(self) -> str:
        """The id for people."""
        return "0x" + self.found.request_id.hex()


class AttemptState(Enum):
    """What is known of a signed transaction."""

    RESERVED = "reserved"  # a nonce and a place in the journal, before there is a signature
    DROPPED = "dropped"  # a reservation that came to nothing: no signature of it left this process
    SIGNED = "signed"  # in the journal; it may or may not have left this machine
    SENT = "sent"  # the node has taken it
    INCLUDED = "included"  # in a block that is not deep enough yet
    CONFIRMED = "confirmed"
    REVERTED = "reverted"
    REPLACED = "replaced"  # another transaction with its nonce was included
    LOST = "lost"  # its nonce was used by somebody else
    REFUSED = "refused"  # the node would not take it


PENDING: Final = frozenset({AttemptState.SIGNED, AttemptState.SENT})
UNRESOLVED: Final = PENDING | {AttemptState.INCLUDED}
TAKEN: Final = UNRESOLVED | {AttemptState.RESERVED}
"""States in which a nonce is spoken for."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A nonce that is taken for a transaction which is not signed yet. Fees are in wei per gas."""

    id: int
    request_id: bytes
    action: str
    nonce: int
    max_fee: int
    tip: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A transaction that was signed. Fees are in wei per gas; ``misses`` counts vain looks for it."""

    id: int
    tx_hash: bytes
    request_id: bytes
    action: str
    nonce: int
    raw: bytes
    max_fee: int
    tip: int
    state: AttemptState
    created_at: float
    block_number: int | None
    misses: int


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a request's story; ``at`` is wall clock."""

    at: float
    what: str
    detail: str


class Mode(Enum):
    """Whether the operator lets the relayer take on what it has not staked anything on yet."""

    OPEN = "open"
    PAUSED = "paused"
    DRAINING = "draining"


class OrderKind(Enum):
    """What an operator can ask of a running relayer."""

    PAUSE = "pause"
    RESUME = "resume"
    DRAIN = "drain"
    REPLAY = "replay"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class Order:
    """An order; ``argument`` is a request's id in hexadecimal, or empty. ``done`` is ``None`` until then."""

    id: int
    kind: OrderKind
    argument: str
    done: bool | None
    answer: str


@dataclass(frozen=True, slots=True)
class Queued:
    """A request that has not ended, in short. ``deadline`` is chain time, ``fee`` in wei."""

    request_id: bytes
    model_id: bytes
    step: str
    why: str
    min_assurance: Assurance
    deadline: int | None
    fee: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended: whether our output stood, the trust gap in seconds, and what was earned in wei."""

    request_id: bytes
    at: float
    status: str
    mine: bool
    gap: int | None
    earned: int


@dataclass(frozen=True, slots=True)
class Divergence:
    """An output of another operator that is not ours."""

    request_id: bytes
    at: float
    model_id: bytes
    operator: str
    output_hash: bytes
    our_hash: bytes
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Unpaid:
    """A confirmed transaction that is not in the ledger."""

    tx_hash: bytes
    request_id: bytes
    action: str


@dataclass(frozen=True, slots=True)
class Cost:
    """A transaction's cost; ``wei`` in all."""

    tx_hash: bytes
    request_id: bytes
    at: float
    action: str
    gas: int
    wei: int
    success: bool


@dataclass(frozen=True, slots=True)
class Sums:
    """Totals. Amounts are in wei, to the 15 digits of a double."""

    earned: float
    spent: float
    gas: int
    transactions: int
    ours: int
    divergences: int
