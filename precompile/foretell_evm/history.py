"""The blocks of a chain in memory, and what of them is found by hash."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from eth.abc import ComputationAPI

from foretell_evm.blocks import BlockRecord
from foretell_evm.errors import UnknownBlock

TRACED_TRANSACTIONS: Final = 1024
"""Included transactions whose computations are kept for traces."""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where a transaction is."""

    record: BlockRecord
    index: int


class History:
    """Grows by :meth:`append`; goes back by :meth:`restore`. Whoever changes it holds the chain's lock."""

    def __init__(self, genesis: BlockRecord) -> None:
        self._records: list[BlockRecord] = []
        self._by_hash: dict[bytes, BlockRecord] = {}
        self._inclusions: dict[bytes, Inclusion] = {}
        self._computations: OrderedDict[bytes, ComputationAPI] = OrderedDict()
        self.append(genesis)

    @property
    def head(self) -> BlockRecord:
        """The last block."""
        return self._records[-1]

    @property
    def records(self) -> tuple[BlockRecord, ...]:
        """All blocks, genesis first."""
        return tuple(self._records)

    def block(self, number: int) -> BlockRecord:
        """A block by number.

        Raises:
            UnknownBlock: there is none.
        """
        records = self._records
        if not 0 <= number < len(records):
            raise UnknownBlock(f"no block {number}; the head is {len(records) - 1}")
        return records[number]

    def blocks(self, first: int, last: int) -> Sequence[BlockRecord]:
        """Blocks ``first`` to ``last``, as far as they exist."""
        return self._records[max(first, 0) : last + 1]

    def block_by_hash(self, block_hash: bytes) -> BlockRecord | None:
        """A block of this chain by hash."""
        return self._by_hash.get(block_hash)

    def inclusion(self, transaction_hash: bytes) -> Inclusion | None:
        """Where a transaction is, if it is in a block."""
        return self._inclusions.get(transaction_hash)

    def computation(self, transaction_hash: bytes) -> ComputationAPI | None:
        """The computation of an included transaction, while it is kept."""
        return self._computations.get(transaction_hash)

    def append(self, record: BlockRecord, computations: Sequence[ComputationAPI] = ()) -> None:
        """Add the next block, with the computations of its transactions where they are known."""
        self._records.append(record)
        self._by_hash[record.block.hash] = record
        for index, transaction in enumerate(record.block.transactions):
            self._inclusions[transaction.hash] = Inclusion(record, index)
        for transaction, computation in zip(record.block.transactions, computations, strict=False):
            self._computations[transaction.hash] = computation
        while len(self._computations) > TRACED_TRANSACTIONS:
            self._computations.popitem(last=False)

    def replace_head(self, record: BlockRecord) -> None:
        """Put ``record`` in the place of the last block."""
        self._records.pop()
        self.append(record)

    def restore(self, records: Iterable[BlockRecord]) -> None:
        """Be what it was when these were all its blocks."""
        self._records, self._by_hash, self._inclusions = [], {}, {}
        for record in records:
            self.append(record)
