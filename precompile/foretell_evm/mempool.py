"""The mempool: transactions in nonce order, each with what it waits for.

Pure bookkeeping: it executes nothing and waits for nothing. Its owner holds the lock.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import Final

from eth.abc import SignedTransactionAPI
from eth_typing import Address

from foretell_evm.config import PoolLimits
from foretell_evm.errors import TransactionRejected
from foretell_spec.operator import InferenceJob
from foretell_spec.reasons import Reason

_BUMP_PERCENT: Final = 10
_REMEMBERED: Final = 4096


class Stage(Enum):
    """How far a transaction is."""

    NEW = "new"  # not pre-executed yet
    WAITING = "waiting"  # an inference is under way
    READY = "ready"  # may be in the next block


@dataclass(slots=True)
class Entry:
    """A transaction on its way into a block."""

    transaction: SignedTransactionAPI
    arrival: int
    stage: Stage = Stage.NEW
    job: InferenceJob | None = None
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class Eviction:
    """Why a transaction left the mempool unmined. ``reason`` is ``None`` if no inference is at fault."""

    reason: Reason | None
    detail: str


class Mempool:
    """Transactions by sender and nonce."""

    def __init__(self, limits: PoolLimits) -> None:
        self._limits = limits
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
            self._require_room(nonces)
        else:
            _require_bump(replaced.transaction, transaction)
            self.evict(replaced.transaction.hash, Eviction(None, f"replaced by 0x{transaction.hash.hex()}"))
        entry = Entry(transaction, next(self._arrivals))
        self._senders.setdefault(transaction.sender, {})[transaction.nonce] = entry
        self._by_hash[transaction.hash] = entry
        self._latest.append(entry)
        self._evicted.pop(transaction.hash, None)
        return entry

    def _require_room(self, nonces: dict[int, Entry]) -> None:
        if len(self._by_hash) >= self._limits.transactions:
            raise TransactionRejected(f"the mempool is full ({self._limits.transactions} transactions)")
        if len(nonces) >= self._limits.transactions_per_sender:
            raise TransactionRejected(
                f"the sender has {self._limits.transactions_per_sender} pending transactions already"
            )

    def remove(self, transaction_hash: bytes) -> None:
        """Forget a transaction that is in a block."""
        entry = self._by_hash.pop(transaction_hash, None)
        if entry is None:
            return
        sender = entry.transaction.sender
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
        """Drop a transaction and remember why."""
        self.remove(transaction_hash)
        self._evicted[transaction_hash] = eviction
        if len(self._evicted) > _REMEMBERED:
            self._evicted.popitem(last=False)

    def next_nonce(self, sender: Address, nonce: int) -> int:
        """First nonce from ``nonce`` on that the sender has not used here."""
        nonces = self._senders.get(sender, {})
        while nonce in nonces:
            nonce += 1
        return nonce

    def ready(self, nonce_of: Callable[[Address], int], base_fee: int) -> list[SignedTransactionAPI]:
        """Ready transactions whose predecessors are ready too: best tip first, senders' in nonce order."""
        keyed: list[tuple[int, int, int, SignedTransactionAPI]] = []
        for sender, nonces in self._senders.items():
            # Reading a nonce from the state takes longer than all else here: not for those who only wait.
            if nonces[min(nonces)].stage is not Stage.READY:
                continue
            tip, arrival = 2**256, 0
            for entry in self._ready_run(sender, nonce_of(sender)):
                # A transaction comes no earlier than those that it follows.
                tip = min(tip, _tip(entry.transaction, base_fee))
                arrival = max(arrival, entry.arrival)
                keyed.append((-tip, arrival, entry.transaction.nonce, entry.transaction))
        keyed.sort(key=lambda item: item[:3])
        return [transaction for *_, transaction in keyed]

    def _ready_run(self, sender: Address, nonce: int) -> Iterator[Entry]:
        nonces = self._senders[sender]
        while nonce in nonces and nonces[nonce].stage is Stage.READY:
            yield nonces[nonce]
            nonce += 1


def _tip(transaction: SignedTransactionAPI, base_fee: int) -> int:
    return min(transaction.max_priority_fee_per_gas, transaction.max_fee_per_gas - base_fee)


def _require_bump(old: SignedTransactionAPI, new: SignedTransactionAPI) -> None:
    for fee in ("max_fee_per_gas", "max_priority_fee_per_gas"):
        if getattr(new, fee) * 100 < getattr(old, fee) * (100 + _BUMP_PERCENT):
            raise TransactionRejected("replacement transaction underpriced")
