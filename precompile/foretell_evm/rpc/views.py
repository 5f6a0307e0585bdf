"""What clients see of blocks, transactions, receipts and logs."""

from typing import Any

from eth.abc import BlockHeaderAPI, ReceiptAPI, SignedTransactionAPI
from eth.vm.forks.cancun.state import get_total_blob_gas
from eth_utils import keccak
from rlp import encode as rlp_encode

from foretell_evm.blobs import BLOB_TYPE, blob_base_fee
from foretell_evm.blocks import BlockRecord, LogRecord
from foretell_evm.rpc.codec import Json, address_or_none, checksummed, data, quantity, word

SET_CODE_TYPE = 4


def block_json(record: BlockRecord, full: bool) -> Json:
    """A block with its transactions, or with their hashes."""
    transactions = record.block.transactions
    return {
        **header_json(record.header),
        "hash": data(record.block.hash),
        "size": quantity(len(rlp_encode(record.block))),
        "totalDifficulty": "0x0",
        "uncles": [],
        "withdrawals": [],
        "transactions": [
            transaction_json(transaction, record, index) if full else data(transaction.hash)
            for index, transaction in enumerate(transactions)
        ],
    }


def header_json(header: BlockHeaderAPI) -> Json:
    """The header's own fields."""
    fields: Any = header
    return {
        "number": quantity(fields.block_number),
        "parentHash": data(fields.parent_hash),
        "nonce": data(fields.nonce),
        "mixHash": data(fields.mix_hash),
        "sha3Uncles": data(fields.uncles_hash),
        "logsBloom": f"0x{fields.bloom:0512x}",
        "transactionsRoot": data(fields.transaction_root),
        "stateRoot": data(fields.state_root),
        "receiptsRoot": data(fields.receipt_root),
        "miner": checksummed(fields.coinbase),
        "difficulty": quantity(fields.difficulty),
        "extraData": data(fields.extra_data),
        "gasLimit": quantity(fields.gas_limit),
        "gasUsed": quantity(fields.gas_used),
        "timestamp": quantity(fields.timestamp),
        "baseFeePerGas": quantity(fields.base_fee_per_gas),
        "withdrawalsRoot": data(fields.withdrawals_root),
        "blobGasUsed": quantity(fields.blob_gas_used),
        "excessBlobGas": quantity(fields.excess_blob_gas),
        "parentBeaconBlockRoot": data(fields.parent_beacon_block_root),
        "requestsHash": data(fields.requests_hash),
    }


def transaction_json(transaction: SignedTransactionAPI, record: BlockRecord | None, index: int = 0) -> Json:
    """A transaction; ``record`` is ``None`` while it is pending."""
    fields: Any = transaction
    kind = type_of(transaction)
    result: Json = {
        "hash": data(fields.hash),
        "type": quantity(kind),
        "nonce": quantity(fields.nonce),
        "blockHash": data(record.block.hash) if record else None,
        "blockNumber": quantity(record.number) if record else None,
        "transactionIndex": quantity(index) if record else None,
        "blockTimestamp": quantity(record.header.timestamp) if record else None,
        "from": checksummed(fields.sender),
        "to": address_or_none(fields.to),
        "value": quantity(fields.value),
        "gas": quantity(fields.gas),
        "gasPrice": quantity(effective_gas_price(transaction, record)),
        "input": data(fields.data),
        "r": quantity(fields.r),
        "s": quantity(fields.s),
        "v": quantity(fields.v if kind == 0 else fields.y_parity),
    }
    if fields.chain_id is not None:
        result["chainId"] = quantity(fields.chain_id)
    if kind:
        result["yParity"] = quantity(fields.y_parity)
        result["accessList"] = [
            {"address": checksummed(account), "storageKeys": [word(key) for key in keys]}
            for account, keys in fields.access_list
        ]
    if kind >= 2:
        result["maxFeePerGas"] = quantity(fields.max_fee_per_gas)
        result["maxPriorityFeePerGas"] = quantity(fields.max_priority_fee_per_gas)
    return {**result, **_blob_fields(transaction), **_authorization_fields(transaction)}


def _blob_fields(transaction: Any) -> Json:
    if type_of(transaction) != BLOB_TYPE:
        return {}
    return {
        "maxFeePerBlobGas": quantity(transaction.max_fee_per_blob_gas),
        "blobVersionedHashes": [data(each) for each in transaction.blob_versioned_hashes],
    }


def _authorization_fields(transaction: Any) -> Json:
    if type_of(transaction) != SET_CODE_TYPE:
        return {}
    return {
        "authorizationList": [
            {
                "chainId": quantity(each.chain_id),
                "address": checksummed(each.address),
                "nonce": quantity(each.nonce),
                "yParity": quantity(each.y_parity),
                "r": quantity(each.r),
                "s": quantity(each.s),
            }
            for each in transaction.authorization_list
        ]
    }


def type_of(transaction: Any) -> int:
    """Type of a transaction (EIP-2718); 0 for a legacy one."""
    return getattr(transaction, "type_id", None) or 0


def effective_gas_price(transaction: Any, record: BlockRecord | None) -> int:
    """Wei per gas that the sender pays; the most it may pay while pending."""
    if record is None:
        return int(transaction.max_fee_per_gas)
    base_fee = record.header.base_fee_per_gas or 0
    return int(min(transaction.max_fee_per_gas, base_fee + transaction.max_priority_fee_per_gas))


def receipt_json(record: BlockRecord, index: int) -> Json:
    """The receipt of a block's transaction."""
    transaction, receipt = record.block.transactions[index], record.receipts[index]
    before = record.receipts[index - 1].gas_used if index else 0
    result: Json = {
        "transactionHash": data(transaction.hash),
        "transactionIndex": quantity(index),
        "blockHash": data(record.block.hash),
        "blockNumber": quantity(record.number),
        "blockTimestamp": quantity(record.header.timestamp),
        "from": checksummed(transaction.sender),
        "to": address_or_none(transaction.to),
        "contractAddress": _created(transaction, receipt),
        "cumulativeGasUsed": quantity(receipt.gas_used),
        "gasUsed": quantity(receipt.gas_used - before),
        "effectiveGasPrice": quantity(effective_gas_price(transaction, record)),
        "logs": [log_json(record, log) for log in record.logs if log.transaction_index == index],
        "logsBloom": f"0x{receipt.bloom:0512x}",
        "status": quantity(_succeeded(receipt)),
        "type": quantity(type_of(transaction)),
        "blobGasPrice": quantity(blob_base_fee(record.header)),
    }
    if type_of(transaction) == BLOB_TYPE:
        result["blobGasUsed"] = quantity(get_total_blob_gas(transaction))
    return result


def _succeeded(receipt: ReceiptAPI) -> int:
    return int(receipt.state_root == b"\x01")


def _created(transaction: SignedTransactionAPI, receipt: ReceiptAPI) -> str | None:
    if transaction.to or not _succeeded(receipt):
        return None
    return checksummed(keccak(rlp_encode([transaction.sender, transaction.nonce]))[12:])


def log_json(record: BlockRecord, log: LogRecord) -> Json:
    """A log of a block."""
    return {
        "address": checksummed(log.address),
        "topics": [data(topic) for topic in log.topics],
        "data": data(log.data),
        "blockNumber": quantity(record.number),
        "blockHash": data(record.block.hash),
        "blockTimestamp": quantity(record.header.timestamp),
        "transactionHash": data(record.block.transactions[log.transaction_index].hash),
        "transactionIndex": quantity(log.transaction_index),
        "logIndex": quantity(log.log_index),
        "removed": False,
    }
