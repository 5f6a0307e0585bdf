"""JSON-RPC methods that read the chain."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

from eth.abc import SignedTransactionAPI
from eth.vm.forks.prague.constants import MAX_BLOB_GAS_PER_BLOCK
from eth_utils import keccak, to_checksum_address

from foretell_evm.blobs import blob_base_fee as blob_fee_of
from foretell_evm.chain import ForetellChain
from foretell_evm.config import GWEI
from foretell_evm.errors import RpcError
from foretell_evm.history import Inclusion
from foretell_evm.rpc.codec import (
    INVALID_PARAMS,
    Json,
    data,
    parse_address,
    parse_data,
    parse_flag,
    parse_list,
    parse_quantity,
    quantity,
    word,
)
from foretell_evm.rpc.selectors import LogFilter, find_block, require_block
from foretell_evm.rpc.views import (
    block_json,
    effective_gas_price,
    header_json,
    log_json,
    receipt_json,
    transaction_json,
)

PRIORITY_FEE: Final = GWEI
"""Suggested tip in wei."""
MAX_FEE_HISTORY: Final = 1024


def client_version(chain: ForetellChain) -> str:
    """Name and version."""
    del chain
    return f"foretell/v{version('ape-foretell')}"


def sha3(chain: ForetellChain, value: Any) -> str:
    """keccak256 of data."""
    del chain
    return data(keccak(parse_data(value)))


def net_version(chain: ForetellChain) -> str:
    """The chain id in decimal."""
    return str(chain.config.chain_id)


def chain_id(chain: ForetellChain) -> str:
    """The chain id."""
    return quantity(chain.config.chain_id)


def block_number(chain: ForetellChain) -> str:
    """Number of the head."""
    return quantity(chain.head.number)


def coinbase(chain: ForetellChain) -> str:
    """Who gets the tips of the next block."""
    return to_checksum_address(chain.pending_header().coinbase)


def accounts(chain: ForetellChain) -> list[str]:
    """Addresses of the funded accounts."""
    return [account.address for account in chain.accounts]


def get_balance(chain: ForetellChain, address: Any, block: Any = "latest") -> str:
    """Wei of an account after a block."""
    return quantity(chain.account(parse_address(address), require_block(chain, block)).balance)


def get_account_info(chain: ForetellChain, address: Any, block: Any = "latest") -> Json:
    """``eth_getAccountInfo``: balance, nonce and code."""
    account, state = parse_address(address), chain.state(require_block(chain, block))
    return {
        "balance": quantity(state.get_balance(account)),
        "nonce": quantity(state.get_nonce(account)),
        "code": data(state.get_code(account)),
    }


def get_code(chain: ForetellChain, address: Any, block: Any = "latest") -> str:
    """Code of an account after a block."""
    return data(chain.state(require_block(chain, block)).get_code(parse_address(address)))


def get_storage_at(chain: ForetellChain, address: Any, slot: Any, block: Any = "latest") -> str:
    """A storage word after a block."""
    state = chain.state(require_block(chain, block))
    return word(state.get_storage(parse_address(address), parse_quantity(slot, "slot")))


def get_transaction_count(chain: ForetellChain, address: Any, block: Any = "latest") -> str:
    """Nonce of an account; with ``pending``, the next one that it can use."""
    if block == "pending":
        return quantity(chain.next_nonce(parse_address(address)))
    return quantity(chain.account(parse_address(address), require_block(chain, block)).nonce)


def get_block_by_number(chain: ForetellChain, number: Any, full: Any = None) -> Json | None:
    """A block by number or tag."""
    wants_all = parse_flag(full, "full transactions")
    record = find_block(chain, number)
    return None if record is None else block_json(record, wants_all)


def get_block_by_hash(chain: ForetellChain, block_hash: Any, full: Any = None) -> Json | None:
    """A block by hash."""
    return get_block_by_number(chain, {"blockHash": block_hash}, full)


def get_header_by_number(chain: ForetellChain, number: Any) -> Json | None:
    """A block's header and hash."""
    record = find_block(chain, number)
    return None if record is None else header_json(record.header) | {"hash": data(record.block.hash)}


def get_header_by_hash(chain: ForetellChain, block_hash: Any) -> Json | None:
    """A block's header and hash."""
    return get_header_by_number(chain, {"blockHash": block_hash})


def get_block_transaction_count(chain: ForetellChain, number: Any) -> str | None:
    """How many transactions a block has."""
    record = find_block(chain, number)
    return None if record is None else quantity(len(record.block.transactions))


def get_block_transaction_count_by_hash(chain: ForetellChain, block_hash: Any) -> str | None:
    """How many transactions a block has."""
    return get_block_transaction_count(chain, {"blockHash": block_hash})


def get_uncle_count(chain: ForetellChain, block: Any) -> str:
    """Always none."""
    del chain, block
    return "0x0"


def get_uncle(chain: ForetellChain, block: Any, index: Any) -> None:
    """There is none."""
    del chain, block, index


def get_block_receipts(chain: ForetellChain, block: Any) -> list[Json] | None:
    """All receipts of a block."""
    record = find_block(chain, block)
    return None if record is None else [receipt_json(record, index) for index in range(len(record.receipts))]


def get_transaction_by_hash(chain: ForetellChain, transaction_hash: Any) -> Json | None:
    """A transaction in a block or in the mempool."""
    transaction, found = find_transaction(chain, transaction_hash)
    if transaction is None:
        return None
    return transaction_json(transaction, found.record if found else None, found.index if found else 0)


def find_transaction(
    chain: ForetellChain, transaction_hash: Any
) -> tuple[SignedTransactionAPI | None, Inclusion | None]:
    """A known transaction, and where it is if that is in a block."""
    wanted = parse_data(transaction_hash, "hash", 32)
    found = chain.history.inclusion(wanted)
    if found is not None:
        return found.record.block.transactions[found.index], found
    with chain.lock:
        entry = chain.mempool.get(wanted)
    return (None if entry is None else entry.transaction), None


def get_transaction_by_block(chain: ForetellChain, number: Any, index: Any) -> Json | None:
    """A transaction by place."""
    record, position = find_block(chain, number), parse_quantity(index, "index")
    if record is None or position >= len(record.block.transactions):
        return None
    return transaction_json(record.block.transactions[position], record, position)


def get_transaction_by_block_hash(chain: ForetellChain, block_hash: Any, index: Any) -> Json | None:
    """A transaction by place."""
    return get_transaction_by_block(chain, {"blockHash": block_hash}, index)


def get_transaction_receipt(chain: ForetellChain, transaction_hash: Any) -> Json | None:
    """The receipt of an included transaction."""
    found = chain.history.inclusion(parse_data(transaction_hash, "hash", 32))
    return None if found is None else receipt_json(found.record, found.index)


def get_logs(chain: ForetellChain, log_filter: Any) -> list[Json]:
    """Logs that match a filter."""
    found = LogFilter.parse(chain, log_filter).logs(chain)
    return [log_json(record, log) for record, log in found]


def gas_price(chain: ForetellChain) -> str:
    """What a legacy transaction should offer: base fee and tip."""
    return quantity((chain.pending_header().base_fee_per_gas or 0) + PRIORITY_FEE)


def max_priority_fee_per_gas(chain: ForetellChain) -> str:
    """The suggested tip."""
    del chain
    return quantity(PRIORITY_FEE)


def blob_base_fee(chain: ForetellChain) -> str:
    """Wei per unit of blob gas in the next block."""
    return quantity(blob_fee_of(chain.pending_header()))


def fee_history(chain: ForetellChain, count: Any, newest: Any, percentiles: Any = None) -> Json:
    """Base fees, fullness and tips of the last blocks, and the base fee of the next one."""
    last = require_block(chain, newest).number
    wanted = min(parse_quantity(count, "block count"), MAX_FEE_HISTORY)
    records = list(chain.history.blocks(last - wanted + 1, last)) if wanted else []
    points = [_percentile(each) for each in parse_list(percentiles or [], "percentiles")]
    following = chain.pending_header() if last == chain.head.number else chain.history.block(last + 1).header
    fees = [record.header.base_fee_per_gas or 0 for record in records]
    history: Json = {
        "oldestBlock": quantity(records[0].number if records else last),
        "baseFeePerGas": [quantity(fee) for fee in [*fees, following.base_fee_per_gas or 0]],
        "gasUsedRatio": [record.header.gas_used / record.header.gas_limit for record in records],
        "baseFeePerBlobGas": [
            quantity(blob_fee_of(header)) for header in [*(each.header for each in records), following]
        ],
        "blobGasUsedRatio": [each.header.blob_gas_used / MAX_BLOB_GAS_PER_BLOCK for each in records],
    }
    if points:
        history["reward"] = [_rewards(record, points) for record in records]
    return history


def _percentile(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise RpcError(INVALID_PARAMS, f"percentile: not in 0..100: {value!r}")
    return float(value)


def _rewards(record: Any, points: Sequence[float]) -> list[str]:
    """Tips of a block at gas percentiles, as geth computes them."""
    base_fee, before = record.header.base_fee_per_gas or 0, 0
    tips: list[tuple[int, int]] = []
    for transaction, receipt in zip(record.block.transactions, record.receipts, strict=True):
        tips.append((effective_gas_price(transaction, record) - base_fee, receipt.gas_used - before))
        before = receipt.gas_used
    tips.sort()
    return [quantity(_tip_at(tips, record.header.gas_used * point / 100)) for point in points]


def _tip_at(tips: Sequence[tuple[int, int]], threshold: float) -> int:
    total = 0
    for tip, gas in tips:
        total += gas
        if total >= threshold:
            return tip
    return tips[-1][0] if tips else 0
