"""Blocks, headers, receipts and transactions as RLP, under the names that geth and anvil have for them."""

from typing import Any

import rlp

from foretell_evm.chain import ForetellChain
from foretell_evm.rpc.codec import data, parse_quantity
from foretell_evm.rpc.reads import find_transaction
from foretell_evm.rpc.selectors import find_block, require_block


def transaction(chain: ForetellChain, transaction_hash: Any) -> str | None:
    """A transaction in a block or in the mempool as a block holds it: of blobs, their hashes."""
    found, _ = find_transaction(chain, transaction_hash)
    return None if found is None else data(found.encode())


def transaction_by_block(chain: ForetellChain, number: Any, index: Any) -> str | None:
    """A transaction by place."""
    record, position = find_block(chain, number), parse_quantity(index, "index")
    if record is None or position >= len(record.block.transactions):
        return None
    return data(record.block.transactions[position].encode())


def transaction_by_block_hash(chain: ForetellChain, block_hash: Any, index: Any) -> str | None:
    """A transaction by place."""
    return transaction_by_block(chain, {"blockHash": block_hash}, index)


def block(chain: ForetellChain, selector: Any) -> str:
    """``debug_getRawBlock``"""
    return data(rlp.encode(require_block(chain, selector).block))


def header(chain: ForetellChain, selector: Any) -> str:
    """``debug_getRawHeader``"""
    return data(rlp.encode(require_block(chain, selector).header))


def receipts(chain: ForetellChain, selector: Any) -> list[str]:
    """``debug_getRawReceipts``: each as the receipts' trie holds it."""
    return [data(receipt.encode()) for receipt in require_block(chain, selector).receipts]
