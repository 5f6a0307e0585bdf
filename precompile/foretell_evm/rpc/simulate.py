"""``eth_simulateV1``: blocks of messages that nobody signed, as geth runs them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from eth.abc import ComputationAPI
from eth.exceptions import Revert

from foretell_evm.blocks import BlockRecord, LogRecord
from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError
from foretell_evm.execution import revert_message
from foretell_evm.failures import describe
from foretell_evm.rpc.codec import (
    INVALID_PARAMS,
    Json,
    data,
    parse_fields,
    parse_flag,
    parse_list,
    parse_quantity,
    quantity,
)
from foretell_evm.rpc.messages import parse_call
from foretell_evm.rpc.overrides import parse_overrides
from foretell_evm.rpc.selectors import require_block
from foretell_evm.rpc.views import block_json, log_json
from foretell_evm.simulation import BlockCalls, SimulatedBlock, SimulatedCall, sender_of
from foretell_evm.transfers import ETHER, logs_with_transfers

MAX_CALLS: Final = 1_000
_REVERTED: Final = 3
_VM_ERROR: Final = -32015


def simulate(chain: ForetellChain, options: Any, block: Any = "latest") -> list[Json]:
    """``eth_simulateV1``; inferences are asked for and waited for, as ``eth_call`` does."""
    given = parse_fields(options, "simulation")
    validates = parse_flag(given.get("validation"), "validation")
    transfers = parse_flag(given.get("traceTransfers"), "traceTransfers")
    full = parse_flag(given.get("returnFullTransactions"), "returnFullTransactions")
    blocks = _blocks(chain, given.get("blockStateCalls"), validates)
    base = require_block(chain, block)
    simulated = chain.calls.with_answers(
        lambda source: chain.simulator.run(blocks, base, source, validates=validates),
        base,
        sender_of(blocks),
    )
    return [_view(each, full, transfers) for each in simulated]


def _blocks(chain: ForetellChain, value: Any, validates: bool) -> list[BlockCalls]:
    given = [parse_fields(each, "blockStateCalls") for each in parse_list(value, "blockStateCalls")]
    if not given:
        raise RpcError(INVALID_PARAMS, "blockStateCalls: empty input")
    blocks = [_block(chain, each, validates) for each in given]
    if sum(len(each.calls) for each in blocks) > MAX_CALLS:
        raise RpcError(INVALID_PARAMS, f"blockStateCalls: at most {MAX_CALLS} calls")
    return blocks


def _block(chain: ForetellChain, given: Mapping[str, Any], validates: bool) -> BlockCalls:
    overrides = parse_overrides(
        given.get("stateOverrides"), given.get("blockOverrides"), may_set_base_fee=validates
    )
    calls = parse_list(given.get("calls") or [], "calls")
    return BlockCalls(overrides, [_call(chain, parse_fields(each, "call")) for each in calls])


def _call(chain: ForetellChain, fields: Mapping[str, Any]) -> SimulatedCall:
    def number(name: str) -> int | None:
        return None if fields.get(name) is None else parse_quantity(fields[name], name)

    price = number("gasPrice")
    return SimulatedCall(
        call=parse_call(chain, {**fields, "gas": None}),
        gas=number("gas"),
        nonce=number("nonce"),
        max_fee=price or number("maxFeePerGas") or 0,
        tip=price or number("maxPriorityFeePerGas") or 0,
    )


def _view(simulated: SimulatedBlock, full: bool, transfers: bool) -> Json:
    record, calls, logged = simulated.record, [], 0
    for index, computation in enumerate(simulated.computations):
        logs = _logs(record, index, computation, logged, transfers)
        logged += len(logs)
        calls.append({**_result(record, index, computation), "logs": logs})
    return {**block_json(record, full), "calls": calls}


def _result(record: BlockRecord, index: int, computation: ComputationAPI) -> Json:
    before = record.receipts[index - 1].gas_used if index else 0
    result: Json = {
        "status": quantity(int(computation.is_success)),
        "returnData": data(computation.output),
        "gasUsed": quantity(record.receipts[index].gas_used - before),
    }
    if computation.is_error:
        result["error"] = _error(computation)
    return result


def _error(computation: ComputationAPI) -> Json:
    if isinstance(computation.error, Revert):
        output = bytes(computation.output)
        return {"code": _REVERTED, "message": revert_message(output), "data": data(output)}
    return {"code": _VM_ERROR, "message": describe(computation.error)}


def _logs(
    record: BlockRecord, index: int, computation: ComputationAPI, first: int, transfers: bool
) -> Sequence[Json]:
    entries = [log for log in logs_with_transfers(computation) if transfers or log[0] != ETHER]
    return [
        log_json(
            record,
            LogRecord(address, tuple(topic.to_bytes(32, "big") for topic in topics), content, index, place),
        )
        for place, (address, topics, content) in enumerate(entries, start=first)
    ]
