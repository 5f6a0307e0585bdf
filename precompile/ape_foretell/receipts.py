"""JSON-RPC's receipts with the values that web3.py makes of them, without its layers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hexbytes import HexBytes

_RECEIPT_NUMBERS: Final = (
    "blobGasPrice",
    "blobGasUsed",
    "blockNumber",
    "cumulativeGasUsed",
    "effectiveGasPrice",
    "gasUsed",
    "status",
    "transactionIndex",
    "type",
)
_LOG_NUMBERS: Final = ("blockNumber", "logIndex", "transactionIndex")
_LOG_BYTES: Final = ("blockHash", "data", "transactionHash")


def with_values(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """A receipt whose numbers are numbers, and whose logs hold bytes."""
    return {
        **receipt,
        **_numbers(receipt, _RECEIPT_NUMBERS),
        "logs": [_log(each) for each in receipt["logs"]],
    }


def _log(log: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: HexBytes(log[name]) for name in _LOG_BYTES}
    topics = [HexBytes(topic) for topic in log["topics"]]
    return {**log, **_numbers(log, _LOG_NUMBERS), **texts, "topics": topics}


def _numbers(fields: Mapping[str, Any], names: Sequence[str]) -> dict[str, int]:
    return {name: int(fields[name], 16) for name in names if name in fields}
