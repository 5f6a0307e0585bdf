"""``trace_*``: the calls of transactions as a flat list, in the form that OpenEthereum gave them."""

from collections.abc import Iterator
from typing import Any, Final

from eth import exceptions as evm
from eth._utils.numeric import ceil32
from eth.exceptions import VMError
from eth.vm.forks.shanghai.constants import INITCODE_WORD_COST
from eth_utils import to_checksum_address

from foretell_evm.blocks import BlockRecord
from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError
from foretell_evm.failures import describe
from foretell_evm.rpc.codec import (
    INVALID_PARAMS,
    Json,
    data,
    parse_address,
    parse_data,
    parse_fields,
    parse_list,
    parse_quantity,
    quantity,
)
from foretell_evm.rpc.selectors import require_block
from foretell_evm.rpc.trace.call_tree import caller_of
from foretell_evm.tracing import Destruction, Watch

MAX_BLOCKS: Final = 256
"""Of one ``trace_filter``: each runs once more."""
_WORDS: Final[dict[type[VMError], str]] = {
    evm.InsufficientStack: "Stack underflow",
    evm.FullStack: "Out of stack",
    evm.InvalidInstruction: "Bad instruction",
    evm.InvalidJumpDestination: "Bad jump destination",
    evm.OutOfGas: "Out of gas",
    evm.Revert: "Reverted",
    evm.WriteProtection: "Mutable Call In Static Context",
}


def trace_transaction(chain: ForetellChain, transaction_hash: Any) -> list[Json]:
    """``trace_transaction``; nothing of a transaction that is in no block."""
    found = chain.history.inclusion(parse_data(transaction_hash, "hash", 32))
    if found is None:
        return []
    traced = next(chain.tracer.transactions(found.record, found.index, Watch))
    return _traces(found.record, found.index, traced.computation)


def trace_block(chain: ForetellChain, block: Any) -> list[Json]:
    """``trace_block``: every transaction, run once."""
    return list(_traces_of(chain, require_block(chain, block)))


def trace_filter(chain: ForetellChain, wanted: Any) -> list[Json]:
    """``trace_filter``: calls of a range of blocks from or to some accounts."""
    fields = parse_fields(wanted, "filter")
    first, last = (
        require_block(chain, fields.get(name) or default).number
        for name, default in (("fromBlock", "earliest"), ("toBlock", "latest"))
    )
    if last - first >= MAX_BLOCKS:
        raise RpcError(INVALID_PARAMS, f"filter: ask for at most {MAX_BLOCKS} blocks at once")
    senders, receivers = (_accounts(fields, name) for name in ("fromAddress", "toAddress"))
    found = [
        trace
        for record in chain.history.blocks(first, last)
        for trace in _traces_of(chain, record)
        if (not senders or trace["action"].get("from") in senders)
        and (not receivers or trace["action"].get("to") in receivers)
    ]
    start = parse_quantity(fields.get("after") or 0, "after")
    count = len(found) if fields.get("count") is None else parse_quantity(fields["count"], "count")
    return found[start : start + count]


def _accounts(fields: Any, name: str) -> frozenset[str]:
    return frozenset(
        to_checksum_address(parse_address(each)) for each in parse_list(fields.get(name) or [], name)
    )


def _traces_of(chain: ForetellChain, record: BlockRecord) -> Iterator[Json]:
    if record.number == 0:
        return
    for index, traced in enumerate(chain.tracer.transactions(record, 0, Watch)):
        yield from _traces(record, index, traced.computation)


def _traces(record: BlockRecord, index: int, computation: Any) -> list[Json]:
    place = {
        "blockHash": data(record.block.hash),
        "blockNumber": record.number,
        "transactionHash": data(record.block.transactions[index].hash),
        "transactionPosition": index,
    }
    return [{**trace, **place} for trace in _flat(computation, None, ())]


def _flat(computation: Any, kind: str | None, address: tuple[int, ...]) -> Iterator[Json]:
    """A call, and then those inside it; ``address`` is the way to it from the transaction's own."""
    destroyed = computation.destruction
    children = list(zip(computation.children, computation.kinds_of_children, strict=True))
    yield {
        **_call(computation, kind),
        "subtraces": len(children) + (destroyed is not None),
        "traceAddress": list(address),
    }
    for index, (child, each) in enumerate(children):
        yield from _flat(child, each, (*address, index))
    if destroyed is not None:
        yield {**_suicide(destroyed), "subtraces": 0, "traceAddress": [*address, len(children)]}


def _call(computation: Any, kind: str | None) -> Json:
    message, paid = computation.msg, _paid_before(computation, kind)
    action: Json = {
        "from": to_checksum_address(caller_of(computation, kind)),
        "gas": quantity(message.gas - paid),
        "value": quantity(message.value),
    }
    result: Json = {"gasUsed": quantity(computation.get_gas_used() - paid)}
    if message.is_create:
        action |= {"init": data(message.code), "creationMethod": (kind or "CREATE").lower()}
        result |= {
            "address": to_checksum_address(message.storage_address),
            "code": data(computation.output),
        }
    else:
        action |= {
            "to": to_checksum_address(message.code_address),
            "input": data(message.data),
            "callType": (kind or "CALL").lower(),
        }
        result["output"] = data(computation.output)
    trace: Json = {"type": "create" if message.is_create else "call", "action": action, "result": result}
    return trace | _failure(computation) if computation.is_error else trace


def _paid_before(computation: Any, kind: str | None) -> int:
    """Gas for the length of a transaction's creation code (EIP-3860): py-evm takes it from the frame."""
    is_transaction = kind is None and computation.msg.is_create
    return INITCODE_WORD_COST * ceil32(len(computation.msg.code)) // 32 if is_transaction else 0


def _failure(computation: Any) -> Json:
    error = computation.error
    said: Json = {"error": _WORDS.get(type(error)) or describe(error)}
    return said if isinstance(error, evm.Revert) else {**said, "result": None}


def _suicide(destroyed: Destruction) -> Json:
    return {
        "type": "suicide",
        "action": {
            "address": to_checksum_address(destroyed.account),
            "refundAddress": to_checksum_address(destroyed.heir),
            "balance": quantity(destroyed.balance),
        },
        "result": None,
    }
