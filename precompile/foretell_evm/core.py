"""What the parts of a running chain share: its blocks, its pools, its clock, and one lock for all of them."""

import threading
import time
from typing import Final

from eth.abc import BlockHeaderAPI, StateAPI
from eth.rlp.accounts import Account
from eth_typing import Address

from foretell_evm.account_db import account_at
from foretell_evm.answers import PoolSource
from foretell_evm.blocks import BlockRecord, Departures, next_header
from foretell_evm.config import ChainConfig
from foretell_evm.errors import RpcError
from foretell_evm.evidence import EvidenceChecker
from foretell_evm.execution import Executor
from foretell_evm.genesis import create_chain
from foretell_evm.history import History
from foretell_evm.impersonation import Impersonation
from foretell_evm.inference_pool import InferencePool
from foretell_evm.judge import HeadJudge
from foretell_evm.mempool import Mempool
from foretell_evm.pending import PendingTransactions
from foretell_evm.resolution import Source
from foretell_evm.storage.store import Store

MAX_TIME: Final = 2**64 - 1
"""Latest time of a block, in seconds."""


class Clock:
    """The time of blocks: the machine's, moved by development methods. Guarded by the chain's lock."""

    def __init__(self) -> None:
        self.offset = 0
        """Seconds that the chain is ahead of the machine."""
        self.interval: int | None = None
        """Seconds between blocks, whatever the machine's clock says; ``None``: as long as it takes."""
        self._next: int | None = None

    def next_time(self, head: BlockHeaderAPI) -> int:
        """Timestamp that a child of ``head`` would have now."""
        if self._next is not None:
            return self._next
        if self.interval is not None:
            return int(head.timestamp) + self.interval
        return int(max(head.timestamp + 1, int(time.time()) + self.offset))

    def set_next(self, timestamp: int, head: BlockHeaderAPI) -> None:
        """The time of the next block; the clock goes on from there.

        Raises:
            RpcError: it is not after the head, or later than any block's time can be.
        """
        if timestamp > MAX_TIME:
            raise RpcError(-32602, f"timestamp: no block has a time after {MAX_TIME}")
        if timestamp <= head.timestamp:
            raise RpcError(-32602, f"timestamp {timestamp} is not after the head's {head.timestamp}")
        self._next = timestamp
        self.offset = timestamp - int(time.time())

    def space(self, timestamp: int) -> None:
        """The time of the next block alone: the clock stays."""
        self._next = timestamp

    def used(self) -> None:
        """A block was made: the time that was set for it is over."""
        self._next = None

    def go_past(self, timestamp: int) -> None:
        """Be later than ``timestamp``."""
        self.offset = max(self.offset, timestamp + 1 - int(time.time()))

    def restore(self, offset: int) -> None:
        """Be as far ahead as at a snapshot."""
        self.offset, self._next = offset, None


class ChainCore:
    """Blocks, mempool, inference pool and clock of one chain. Whoever changes one of them holds ``lock``.

    ``changed`` is notified when a transaction comes, is in a block or is evicted, and when the chain stops.
    """

    def __init__(self, config: ChainConfig, store: Store, history: History) -> None:
        self.config = config
        self.store = store
        self.history = history
        self.chain = create_chain(config, store.nodes)
        self.executor = Executor(self.chain)
        self.checker = EvidenceChecker(config.chain_id, config.quorum)
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.changes = 0
        """How often ``changed`` was notified."""
        self.closed = threading.Event()
        self.clock = Clock()
        self.departures = Departures()
        self._next_header: tuple[bytes, int, BlockHeaderAPI] | None = None
        """A parent's hash, a time, and the header that follows: it is asked for several times a block."""
        self.impersonation = Impersonation()
        self.mempool = Mempool(config.limits)
        self.pending = PendingTransactions(store, self.mempool)
        judge = HeadJudge(self.checker, lambda: self.head, self.state)
        self.pool = InferencePool(judge, config.limits, config.quorum)

    def close(self) -> None:
        """Let everybody who waits go, and ask operators no more."""
        self.closed.set()
        self.announce()
        self.pool.close()
        with self.lock:
            self.store.close()

    def announce(self) -> None:
        """Tell everybody who waits that something is new."""
        with self.changed:
            self.changes += 1
            self.save_pending()
            self.changed.notify_all()

    def save_pending(self) -> None:
        """Keep what waits for a block. What the end of the node does to it is not kept."""
        with self.lock:
            if not self.closed.is_set():
                self.pending.save()

    def wait_for_change(self, seen: int, seconds: float) -> int:
        """Wait until something is new since ``changes`` was ``seen``, or for so long; what it is now."""
        with self.changed:
            self.changed.wait_for(lambda: self.changes != seen or self.closed.is_set(), seconds)
            return self.changes

    @property
    def head(self) -> BlockRecord:
        """The last block."""
        return self.history.head

    @property
    def gas_limit(self) -> int:
        """Gas limit of the next block."""
        return self.departures.gas_limit or int(self.head.header.gas_limit)

    def pending_header(self) -> BlockHeaderAPI:
        """The header that the next block would start from now."""
        with self.lock:
            head = self.head.header
            timestamp = self.clock.next_time(head)
            if self._next_header is None or self._next_header[:2] != (head.hash, timestamp):
                header = next_header(head, timestamp, self.config.coinbase)
                self._next_header = head.hash, timestamp, header
            return self.departures.apply(self._next_header[2])

    def state(self, record: BlockRecord | None = None) -> StateAPI:
        """A throw-away state after a block; after the head where none is given."""
        record = record or self.head
        return self.executor.state_at(record.header, record.state_root)

    def account(self, address: Address, record: BlockRecord | None = None) -> Account:
        """An account after a block, to be read alone; after the head where none is given."""
        return account_at(self.store.nodes, (record or self.head).state_root, address)

    def source(self, record: BlockRecord) -> Source:
        """The pool's answers as they are worth after a block."""
        return PoolSource(self.pool, self.checker, lambda: self.state(record))

    def next_nonce(self, sender: Address) -> int:
        """The nonce of the sender's next transaction, those in the mempool counted."""
        with self.lock:
            return self.mempool.next_nonce(sender, self.account(sender).nonce)
