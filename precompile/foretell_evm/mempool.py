"""The mempool: transactions in nonce order, each with what it waits for.

Pure bookkeeping: it executes nothing and waits for nothing. Its owner holds the lock.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import count, takewhile
from time import monotonic
from typing import Final, NoReturn

from eth.abc import SignedTransactionAPI
from eth_typing import Address

from foretell_evm.config import PoolLimits
from foretell_evm.errors import TransactionRejected
from foretell_evm.inference_pool import Question
from foretell_evm.unlanded import Unlanded
from foretell_spec.operator import InferenceJob
from foretell_spec.reasons import Reason
from foretell_spec.sidecar import Answer

_BUMP_PERCENT: Final = 10
_REMEMBERED: Final = 4096
_AT_SENDERS_COST: Final = frozenset(
    {
        Reason.STALE,
        Reason.PRICE,
        Reason.SENDER_LIMIT,
        Reason.BLOCK_LIMIT,
        Reason.REPLACED,
        Reason.INVALID,
        Reason.EXPIRED,
    }
)
"""Ends that neither the operators nor this node are the cause of."""


class Stage(Enum):
    """How far a transaction is."""

    NEW = "new"  # not pre-executed yet
    WAITING = "waiting"  # an inference is under way
    READY = "ready"  # may be in the next block


@dataclass(slots=True)
class Entry:
    """A transaction on its way into a block.

    ``since``: when it came, by the monotonic clock. ``rounds``: how many questions it has asked.
    ``question``: the one that it waits for, ``superseded``: that of the transaction in whose place it came.
    ``answers``: what it was ready with. ``is_crowded_out``: the last block had no room for those.
    """

    transaction: SignedTransactionAPI
    arrival: int
    since: float = field(default_factory=monotonic)
    stage: Stage = Stage.NEW
    job: InferenceJob | None = None
    rounds: int = 0
    question: Question | None = None
    superseded: Question | None = None
    answers: tuple[Answer, ...] = ()
    is_crowded_out: bool = False

    @property
    def cost(self) -> int:
        """Most wei that it can take from its sender."""
        return int(self.transaction.gas * self.transaction.max_fee_per_gas + self.transaction.value)

    def withdraw(self) -> None:
        """Wait for no answer any more."""
        for question in (self.question, self.superseded):
            if question is not None:
                question.withdraw()


@dataclass(frozen=True, slots=True)
class Eviction:
    """Why a transaction left the mempool unmined, or did not come in for want of room."""

    reason: Reason
    detail: str


class Mempool:
    """Transactions by sender and nonce. Whoever leaves takes its question back."""

    def __init__(self, limits: PoolLimits) -> None:
        self._limits = limits
        self._unlanded = Unlanded(limits.forgiven_every)
        self._senders: dict[Address, dict[int, Entry]] = {}
        self._by_hash: dict[bytes, Entry] = {}
        self._arrivals = count()
        self._evicted: OrderedDict[bytes, Eviction] = OrderedDict()
        self._latest: deque[Entry] = deque(maxlen=_REMEMBERED)

    def __len__(self) -> int:
        return len(self._by_hash)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._by_hash.values()))

    def get(self, transaction_hash: bytes) -> Entry | None:
        """The entry of a pending transaction."""
        return self._by_hash.get(transaction_hash)

    def eviction(self, transaction_hash: bytes) -> Eviction | None:
        """Why a transaction was evicted, as long as it is remembered."""
        return self._evicted.get(transaction_hash)

    def add(self, transaction: SignedTransactionAPI) -> Entry:
        """Take a transaction, in place of one of the same nonce that pays at least a tenth less.

        Raises:
            TransactionRejected: known already, underpriced as a replacement, or over a limit.
        """
        if transaction.hash in self._by_hash:
            raise TransactionRejected("already known")
        nonces = self._senders.get(transaction.sender, {})
        replaced = nonces.get(transaction.nonce)
        if replaced is None:
            self._require_room(transaction, nonces)
        else:
            _require_bump(replaced.transaction, transaction)
            self._end(replaced, Eviction(Reason.REPLACED, f"replaced by 0x{transaction.hash.hex()}"))
        entry = Entry(transaction, next(self._arrivals))
        if replaced is not None:
            # Taken back once the newcomer has asked: most often it asks the same.
            entry.superseded = replaced.question
        self._senders.setdefault(transaction.sender, {})[transaction.nonce] = entry
        self._by_hash[transaction.hash] = entry
        self._latest.append(entry)
        self._evicted.pop(transaction.hash, None)
        return entry

    def _require_room(self, transaction: SignedTransactionAPI, nonces: dict[int, Entry]) -> None:
        limits = self._limits
        if len(self._by_hash) >= limits.transactions:
            self._refuse(
                transaction, Reason.POOL_FULL, f"the mempool is full ({limits.transactions} transactions)"
            )
        if len(nonces) >= limits.transactions_per_sender:
            detail = f"the sender has {limits.transactions_per_sender} pending transactions already"
            self._refuse(transaction, Reason.SENDER_LIMIT, detail)

    def _refuse(self, transaction: SignedTransactionAPI, reason: Reason, detail: str) -> NoReturn:
        self._remember(transaction.hash, Eviction(reason, detail))
        raise TransactionRejected(detail)

    def remove(self, transaction_hash: bytes) -> None:
        """Forget a transaction that is in a block."""
        entry = self._by_hash.get(transaction_hash)
        if entry is not None:
            self._take_out(entry)
            entry.withdraw()

    def _take_out(self, entry: Entry) -> None:
        sender = entry.transaction.sender
        del self._by_hash[entry.transaction.hash]
        del self._senders[sender][entry.transaction.nonce]
        if not self._senders[sender]:
            del self._senders[sender]

    def arrivals(self, seen: int) -> list[Entry]:
        """The latest entries that came after arrival number ``seen``, gone ones included."""
        return [entry for entry in self._latest if entry.arrival > seen]

    @property
    def last_arrival(self) -> int:
        """Number of the last arrival; -1 before the first."""
        return self._latest[-1].arrival if self._latest else -1

    def evict(self, transaction_hash: bytes, eviction: Eviction) -> None:
        """Drop a transaction, if it is here, take its question back, and remember why."""
        entry = self._by_hash.get(transaction_hash)
        if entry is not None:
            self._end(entry, eviction)
            entry.withdraw()

    def _end(self, entry: Entry, eviction: Eviction) -> None:
        self._take_out(entry)
        self._remember(entry.transaction.hash, eviction)
        if entry.rounds and eviction.reason in _AT_SENDERS_COST:
            self._unlanded.charge(entry.transaction.sender, entry.rounds, monotonic())

    def expire(self) -> None:
        """Evict what has been here for longer than a transaction may."""
        oldest = monotonic() - self._limits.lifetime
        expired = [each.transaction.hash for each in takewhile(lambda e: e.since <= oldest, self)]
        for transaction_hash in expired:
            self.evict(transaction_hash, Eviction(Reason.EXPIRED, f"after {self._limits.lifetime:g} seconds"))

    def clear(self, eviction: Eviction) -> None:
        """Evict everything."""
        for entry in self:
            self.evict(entry.transaction.hash, eviction)

    def _remember(self, transaction_hash: bytes, eviction: Eviction) -> None:
        self._evicted[transaction_hash] = eviction
        if len(self._evicted) > _REMEMBERED:
            self._evicted.popitem(last=False)

    def unlanded(self, sender: Address) -> int:
        """Questions of the sender's transactions that ended outside blocks, less those forgiven."""
        return self._unlanded.count(sender, monotonic())

    def cost_up_to(self, entry: Entry) -> int:
        """Most wei that a transaction and those of its sender before it can take."""
        nonces = self._senders[entry.transaction.sender]
        return sum(each.cost for nonce, each in nonces.items() if nonce <= entry.transaction.nonce)

    def next_nonce(self, sender: Address, nonce: int) -> int:
        """First nonce from ``nonce`` on that the sender has not used here."""
        nonces = self._senders.get(sender, {})
        while nonce in nonces:
            nonce += 1
        return nonce

    def ready(self, nonce_of: Callable[[Address], int], base_fee: int) -> list[SignedTransactionAPI]:
        """What the next block may take of ready transactions whose predecessors are ready too.

        Best tip first, senders' in nonce order, no more than those whose bundles a block has room for.
        """
        keyed: list[tuple[int, int, int, Entry]] = []
        for sender in self._senders:
            tip, arrival = 2**256, 0
            for entry in self._ready_of(sender):
                # A transaction comes no earlier than those that it follows.
                tip = min(tip, _tip(entry.transaction, base_fee))
                arrival = max(arrival, entry.arrival)
                keyed.append((-tip, arrival, entry.transaction.nonce, entry))
        keyed.sort(key=lambda item: item[:3])
        return self._fitting([entry for *_, entry in keyed], nonce_of)

    def _ready_of(self, sender: Address) -> Iterator[Entry]:
        nonces = self._senders[sender]
        in_order = (nonces[nonce] for nonce in sorted(nonces))
        return takewhile(lambda entry: entry.stage is Stage.READY, in_order)

    def _fitting(
        self, entries: Sequence[Entry], nonce_of: Callable[[Address], int]
    ) -> list[SignedTransactionAPI]:
        """Those that are next for their sender, and for whose answers there is room.

        Nonces are read for those alone, and the builder need not execute the others to find that they do not
        fit: both take longer than all else here.
        """
        room, used, stopped = self._limits.bundles_per_block, set[bytes](), set[Address]()
        next_nonce: dict[Address, int] = {}
        fitting: list[SignedTransactionAPI] = []
        for entry in entries:
            sender, nonce = entry.transaction.sender, entry.transaction.nonce
            new = {each.hash: len(each.bundles) for each in entry.answers if each.hash not in used}
            entry.is_crowded_out = sum(new.values()) > room
            if entry.is_crowded_out:
                stopped.add(sender)
            if sender in stopped:
                continue
            if sender not in next_nonce:
                next_nonce[sender] = nonce_of(sender)
            if nonce == next_nonce[sender]:
                next_nonce[sender] += 1
                room -= sum(new.values())
                used.update(new)
                fitting.append(entry.transaction)
        return fitting


def _tip(transaction: SignedTransactionAPI, base_fee: int) -> int:
    return min(transaction.max_priority_fee_per_gas, transaction.max_fee_per_gas - base_fee)


def _require_bump(old: SignedTransactionAPI, new: SignedTransactionAPI) -> None:
    for fee in ("max_fee_per_gas", "max_priority_fee_per_gas"):
        if getattr(new, fee) * 100 < getattr(old, fee) * (100 + _BUMP_PERCENT):
            raise TransactionRejected("replacement transaction underpriced")
