"""JSON-RPC methods that trace: transactions of blocks, whole blocks, and calls."""

from collections.abc import Mapping
from typing import Any, Final

from eth.abc import ComputationAPI

from foretell_evm.blocks import BlockRecord
from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError
from foretell_evm.execution import gas_used
from foretell_evm.rpc.codec import INVALID_PARAMS, Json, data, parse_data, parse_fields, parse_flag, quantity
from foretell_evm.rpc.messages import parse_call
from foretell_evm.rpc.overrides import parse_overrides
from foretell_evm.rpc.selectors import require_block
from foretell_evm.rpc.trace.call_tree import call_tree
from foretell_evm.rpc.trace.prestate import prestate
from foretell_evm.rpc.trace.struct_logs import Options, StructLogger
from foretell_evm.tracing import Traced, Watch

CALL_TRACER: Final = "callTracer"
PRESTATE_TRACER: Final = "prestateTracer"
_TRACERS: Final = (CALL_TRACER, PRESTATE_TRACER)


class _Tracing:
    """One trace: which tracer, what it watches, and its result."""

    def __init__(self, options: Any) -> None:
        fields = parse_fields(options or {}, "tracer options")
        self._tracer = fields.get("tracer")
        if self._tracer is not None and self._tracer not in _TRACERS:
            served = ", ".join(_TRACERS)
            raise RpcError(
                INVALID_PARAMS, f"tracer {self._tracer!r}: served are {served}, and struct logs without one"
            )
        self._config: Mapping[str, Any] = parse_fields(fields.get("tracerConfig") or {}, "tracerConfig")
        self._options = Options.parse(fields)
        self._steps: StructLogger | None = None
        self._watch = Watch()

    def watch(self) -> Watch:
        """A fresh watch, for an execution that starts."""
        self._steps = None if self._tracer else StructLogger(self._options)
        self._watch = Watch(steps=self._steps)
        return self._watch

    def result(self, traced: Traced, gas: int, used: int) -> Json:
        """The trace of an execution with a limit of ``gas`` that cost ``used``."""
        computation = traced.computation
        if self._steps is not None:
            return self._steps.result(used, computation)
        if self._tracer == PRESTATE_TRACER:
            return prestate(traced, self._watch, diff=parse_flag(self._config.get("diffMode"), "diffMode"))
        return self._calls(computation, gas, used)

    def _calls(self, computation: ComputationAPI, gas: int, used: int) -> Json:
        tree = call_tree(
            computation,
            only_top=parse_flag(self._config.get("onlyTopCall"), "onlyTopCall"),
            with_logs=parse_flag(self._config.get("withLog"), "withLog"),
        )
        return {**tree, "gas": quantity(gas), "gasUsed": quantity(used)}


def trace_transaction(chain: ForetellChain, transaction_hash: Any, options: Any = None) -> Json:
    """``debug_traceTransaction``: any transaction of any block."""
    tracing = _Tracing(options)
    wanted = parse_data(transaction_hash, "hash", 32)
    found = chain.history.inclusion(wanted)
    if found is None:
        raise RpcError(-32000, f"transaction {data(wanted)} not found")
    traces = chain.tracer.transactions(found.record, found.index, tracing.watch)
    return _result(found.record, found.index, tracing, next(traces))


def _result(record: BlockRecord, index: int, tracing: _Tracing, traced: Traced) -> Json:
    before = record.receipts[index - 1].gas_used if index else 0
    used = record.receipts[index].gas_used - before
    return tracing.result(traced, record.block.transactions[index].gas, used)


def trace_block(chain: ForetellChain, block: Any, options: Any = None) -> list[Json]:
    """``debug_traceBlockByNumber``: every transaction, run once."""
    record, tracing = require_block(chain, block), _Tracing(options)
    traces = chain.tracer.transactions(record, 0, tracing.watch)
    return [
        {"txHash": data(transaction.hash), "result": _result(record, index, tracing, traced)}
        for index, (transaction, traced) in enumerate(zip(record.block.transactions, traces, strict=True))
    ]


def trace_block_by_hash(chain: ForetellChain, block_hash: Any, options: Any = None) -> list[Json]:
    """``debug_traceBlockByHash``"""
    return trace_block(chain, {"blockHash": block_hash}, options)


def trace_call(chain: ForetellChain, message: Any, block: Any = "latest", options: Any = None) -> Json:
    """``debug_traceCall``; inferences are asked for and waited for, as ``eth_call`` does."""
    tracing = _Tracing(options)
    fields = parse_fields(options or {}, "tracer options")
    pretended = parse_overrides(fields.get("stateOverrides"), fields.get("blockOverrides"))
    call, record = parse_call(chain, message, pretended), require_block(chain, block)
    pending = block == "pending"
    traced = chain.calls.traced(call, record, chain.tracer, tracing.watch, pending=pending)
    return tracing.result(traced, call.gas, gas_used(call.gas, traced.computation))
