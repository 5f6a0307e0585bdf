"""A block and what belongs to it, as a row of ``blocks`` and back."""

import json
import sqlite3
from typing import Any

import rlp
from eth.abc import SignedTransactionAPI

from foretell_evm.blocks import BlockRecord, log_records
from foretell_evm.impersonation import ImpersonatedTransaction
from foretell_evm.storage import tries
from foretell_evm.vm import ForetellVM
from foretell_spec.sidecar import Sidecar


def to_row(record: BlockRecord) -> dict[str, Any]:
    """The row of a block."""
    return {
        "number": record.number,
        "hash": record.block.hash,
        "block": rlp.encode(record.block),
        "forged": _forged(record),
        "receipts": tries.encode([receipt.encode() for receipt in record.receipts]),
        "logs": len(record.logs),
        "sidecar": json.dumps(record.sidecar.to_json(), separators=(",", ":")),
        "state_root": record.state_root,
    }


def _forged(record: BlockRecord) -> str | None:
    """Which transactions nobody signed: their RLP does not tell."""
    indices = [
        index
        for index, transaction in enumerate(record.block.transactions)
        if isinstance(transaction, ImpersonatedTransaction)
    ]
    return json.dumps(indices) if indices else None


def to_pending_row(transaction: SignedTransactionAPI) -> tuple[bytes, bytes, bool]:
    """The row of a pending transaction: its hash, its encoding, and whether nobody signed it."""
    return transaction.hash, transaction.encode(), isinstance(transaction, ImpersonatedTransaction)


def from_pending_row(row: sqlite3.Row) -> SignedTransactionAPI:
    """The pending transaction of a row."""
    transaction: SignedTransactionAPI = ForetellVM.get_transaction_builder().decode(row["encoded"])
    return ImpersonatedTransaction(transaction) if row["forged"] else transaction


def from_row(row: sqlite3.Row) -> BlockRecord:
    """The block of a row."""
    block = rlp.decode(row["block"], sedes=ForetellVM.get_block_class())
    if row["forged"] is not None:
        transactions = list(block.transactions)
        for index in json.loads(row["forged"]):
            transactions[index] = ImpersonatedTransaction(transactions[index])
        block = block.copy(transactions=tuple(transactions))
    builder = ForetellVM.get_receipt_builder()
    receipts = tuple(builder.decode(encoded) for encoded in rlp.decode(row["receipts"]))
    return BlockRecord(
        block=block,
        receipts=receipts,
        sidecar=Sidecar.from_json(json.loads(row["sidecar"])),
        logs=log_records(receipts),
        state_root=row["state_root"],
    )
