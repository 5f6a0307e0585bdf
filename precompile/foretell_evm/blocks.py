"""Blocks of this chain: how a header follows from its parent, and what the node keeps of each block."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from eth.abc import BlockAPI, BlockHeaderAPI, ReceiptAPI
from eth.constants import BLANK_ROOT_HASH, POST_MERGE_DIFFICULTY, POST_MERGE_NONCE
from eth.vm.forks.london.headers import calculate_expected_base_fee_per_gas
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth.vm.forks.prague.headers import calc_excess_blob_gas_prague
from eth_typing import Address, BlockNumber, ChecksumAddress, Hash32
from eth_utils import keccak, to_canonical_address

from foretell_evm.vm import with_fields
from foretell_spec.sidecar import Sidecar

_RANDAO_TAG: Final = b"foretell.prevrandao"


@lru_cache(16)  # asked for by every transaction, and the same until the head or the clock moves
def next_header(parent: BlockHeaderAPI, timestamp: int, coinbase: ChecksumAddress) -> BlockHeaderAPI:
    """The header that a child of ``parent`` starts from: no field but the time is the builder's to choose."""
    # As py-evm's own function has it, which makes a header of each fork on its way to Prague's.
    return PragueBlockHeader(
        parent_hash=parent.hash,
        block_number=BlockNumber(parent.block_number + 1),
        state_root=parent.state_root,
        difficulty=POST_MERGE_DIFFICULTY,
        nonce=POST_MERGE_NONCE,
        base_fee_per_gas=calculate_expected_base_fee_per_gas(parent),
        excess_blob_gas=calc_excess_blob_gas_prague(parent),
        parent_beacon_block_root=BLANK_ROOT_HASH,
        timestamp=timestamp,
        gas_limit=parent.gas_limit,
        coinbase=Address(to_canonical_address(coinbase)),
        mix_hash=prevrandao(parent),
    )


@dataclass(slots=True)
class Departures:
    """What development methods want of the next block against the rules of :func:`next_header`.

    No full node imports such a block. All but the coinbase are for one block; a gas limit stays, since blocks
    take it from their parents. Guarded by the chain's lock.
    """

    base_fee: int | None = None
    gas_limit: int | None = None
    mix_hash: bytes | None = None
    coinbase: Address | None = None

    def apply(self, header: BlockHeaderAPI) -> BlockHeaderAPI:
        """The header with what is wanted of it."""
        wanted = {
            "base_fee_per_gas": self.base_fee,
            "gas_limit": self.gas_limit,
            "mix_hash": self.mix_hash,
            "coinbase": self.coinbase,
        }
        changes: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        return with_fields(header, **changes) if changes else header

    def used(self) -> None:
        """A block was made: what was for it alone is over."""
        self.base_fee = self.gas_limit = self.mix_hash = None


def prevrandao(parent: BlockHeaderAPI) -> Hash32:
    """``block.prevrandao`` of a child: known before its transactions run, the same when they run again."""
    return Hash32(keccak(_RANDAO_TAG + parent.hash))


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One log and where it is. Topics are 32 bytes each."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    transaction_index: int
    log_index: int


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """A block, what its execution gave, and the sidecar that belongs to it.

    ``state_root`` is the header's, except where a development method (``anvil_setBalance``) changed the state
    since.
    """

    block: BlockAPI
    receipts: tuple[ReceiptAPI, ...]
    sidecar: Sidecar
    logs: tuple[LogRecord, ...]
    state_root: bytes

    @property
    def header(self) -> BlockHeaderAPI:
        """The block's header."""
        return self.block.header

    @property
    def number(self) -> int:
        """The block's number."""
        return int(self.block.number)


def log_records(receipts: Sequence[ReceiptAPI]) -> tuple[LogRecord, ...]:
    """All logs of a block in order."""
    found: list[LogRecord] = []
    for index, receipt in enumerate(receipts):
        for log in receipt.logs:
            topics = tuple(topic.to_bytes(32, "big") for topic in log.topics)
            found.append(LogRecord(log.address, topics, log.data, index, len(found)))
    return tuple(found)
