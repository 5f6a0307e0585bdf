"""The blocks of a chain, and what of them is found by hash."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from eth.abc import ComputationAPI
from lru import LRU

from foretell_evm.blocks import BlockRecord
from foretell_evm.errors import UnknownBlock
from foretell_evm.storage.store import Store

CACHED_BLOCKS: Final = 256
TRACED_TRANSACTIONS: Final = 128
"""Included transactions whose computations are kept, for who asks at once why one failed."""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where a transaction is."""

    record: BlockRecord
    index: int


class History:
    """Grows by :meth:`append`; goes back by :meth:`revert_to`. Whoever changes it holds the chain's lock.

    What was used last is in memory, all else in the store.
    """

    def __init__(self, store: Store, genesis: BlockRecord) -> None:
        """Start with a block 0 where the store is empty, else with what it holds."""
        self._store = store
        self._recent: LRU[int, BlockRecord] = LRU(CACHED_BLOCKS)
        self._computations: OrderedDict[bytes, ComputationAPI] = OrderedDict()
        number = store.head_number()
        if number is None:
            store.append(genesis)
        self._head = genesis if number is None else self._read(number)

    @property
    def head(self) -> BlockRecord:
        """The last block."""
        return self._head

    def block(self, number: int) -> BlockRecord:
        """A block by number.

        Raises:
            UnknownBlock: there is none.
        """
        head = self._head
        if number == head.number:
            return head
        if not 0 <= number < head.number:
            raise UnknownBlock(f"no block {number}; the head is {head.number}")
        return self._recent.get(number) or self._read(number)

    def _read(self, number: int) -> BlockRecord:
        record = self._store.block(number)
        if record is None:
            raise UnknownBlock(f"no block {number}")
        self._recent[number] = record
        return record

    def blocks(self, first: int, last: int) -> Iterator[BlockRecord]:
        """Blocks ``first`` to ``last``, as far as they exist."""
        for number in range(max(first, 0), min(last, self._head.number) + 1):
            yield self.block(number)

    def blocks_with_logs(self, first: int, last: int) -> Iterator[BlockRecord]:
        """Those of the blocks ``first`` to ``last`` in which something was logged."""
        return self._store.blocks(max(first, 0), min(last, self._head.number), logged=True)

    def block_by_hash(self, block_hash: bytes) -> BlockRecord | None:
        """A block of this chain by hash."""
        number = self._store.number_of(block_hash)
        return None if number is None or self._is_ahead(number) else self.block(number)

    def inclusion(self, transaction_hash: bytes) -> Inclusion | None:
        """Where a transaction is, if it is in a block."""
        place = self._store.place_of(transaction_hash)
        if place is None or self._is_ahead(place[0]):
            return None
        return Inclusion(self.block(place[0]), place[1])

    def _is_ahead(self, number: int) -> bool:
        """Whether a block is stored and not the head yet: whoever reads without the lock may come between."""
        return number > self._head.number

    def computation(self, transaction_hash: bytes) -> ComputationAPI | None:
        """The computation of an included transaction, while it is kept."""
        return self._computations.get(transaction_hash)

    def append(self, record: BlockRecord, computations: Sequence[ComputationAPI] = ()) -> None:
        """Add the next block, with the computations of its transactions where they are known."""
        self._store.append(record)
        self._recent[record.number] = self._head = record
        for transaction, computation in zip(record.block.transactions, computations, strict=False):
            self._computations[transaction.hash] = computation
        while len(self._computations) > TRACED_TRANSACTIONS:
            self._computations.popitem(last=False)

    def set_state_root(self, state_root: bytes) -> None:
        """Let another state follow the head than the one that its header states."""
        self._store.set_state_root(self._head.number, state_root)
        self._head = replace(self._head, state_root=state_root)
        self._recent[self._head.number] = self._head

    def revert_to(self, number: int, state_root: bytes) -> None:
        """Drop the blocks behind one, after which that state follows."""
        record = self.block(number)
        self._store.truncate(number)
        self._recent.clear()
        self._head = record
        self.set_state_root(state_root)
